package fence

import (
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes with which a rule of the catalog refuses a reward. Words has what the customer reads.
const (
	RefusedStopped     = "stopped"
	RefusedPerCustomer = "per_customer"
	RefusedSoldOut     = "sold_out"
	RefusedOutOfCodes  = "out_of_codes"
)

// codesPool is what a reward says whose codes come from a pool.
const codesPool = "pool"

// RefusesReward answers the code of the rule by which a customer cannot have a reward now, or "". To take it, the customer is
// locked, and claim locks what is counted over all customers; without claim it is only a look, as for a menu.
func RefusesReward(tx *store.Tx, reward *rules.Reward, c *punchcard.Customer, claim bool) (string, error) {
	off, err := tx.Off(store.SwitchReward, reward.Name)
	if err != nil {
		return "", err
	}
	if off {
		return RefusedStopped, nil
	}
	if reward.PerCustomer > 0 {
		n, err := tx.CountGrants(reward.Name, c.ID, time.Time{})
		if err != nil {
			return "", err
		}
		if n >= int64(reward.PerCustomer) {
			return RefusedPerCustomer, nil
		}
	}
	if reward.AtMost > 0 {
		if claim {
			if err := tx.LockReward(reward.Name); err != nil {
				return "", err
			}
		}
		var since time.Time
		if reward.Within > 0 {
			since = tx.Now.Add(-reward.Within)
		}
		n, err := tx.CountGrants(reward.Name, "", since)
		if err != nil {
			return "", err
		}
		if n >= int64(reward.AtMost) {
			return RefusedSoldOut, nil
		}
	}
	if reward.Codes == codesPool {
		free, err := tx.FreeCodes(reward.Name)
		if err != nil {
			return "", err
		}
		if free == 0 {
			return RefusedOutOfCodes, nil
		}
	}
	return "", nil
}
