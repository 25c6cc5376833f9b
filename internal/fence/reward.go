package fence

import (
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes with which a rule of the catalog refuses a reward. Words has what the customer reads.
const (
	RefusedUnknown      = "unknown_reward"
	RefusedNotForPoints = "not_for_points"
	RefusedStopped      = "stopped"
	RefusedNotYet       = "not_yet"
	RefusedOver         = "over"
	RefusedNotEligible  = "not_eligible"
	RefusedPerCustomer  = "per_customer"
	RefusedSoldOut      = "sold_out"
	RefusedBudget       = "budget_used"
	RefusedOutOfCodes   = "out_of_codes"
	RefusedNoCode       = "no_code" // another system gave none: see SettleCode
)

// Wish is somebody's wish to have a reward.
type Wish struct {
	Tx       *store.Tx
	Reward   *rules.Reward
	Customer *punchcard.Customer
	Env      func() (*rules.Env, error) // what the reward's condition sees
	// Claim says that the reward is to be taken, not only looked at as for a menu: the customer is locked, and what is counted over
	// all customers is locked here.
	Claim bool
}

// Refused answers the code of the rule by which the customer cannot have the reward now, or "".
func (w Wish) Refused() (string, error) {
	for _, rule := range []func() (string, error){w.stopped, w.season, w.ineligible, w.oftenEnough, w.soldOut, w.outOfCodes} {
		if code, err := rule(); err != nil || code != "" {
			return code, err
		}
	}
	return "", nil
}

func (w Wish) stopped() (string, error) {
	off, err := w.Tx.Off(store.SwitchReward, w.Reward.Name)
	if off {
		return RefusedStopped, err
	}
	return "", err
}

func (w Wish) season() (string, error) {
	switch r := w.Reward; {
	case w.Tx.Now.Before(r.From):
		return RefusedNotYet, nil
	case !r.Until.IsZero() && !w.Tx.Now.Before(r.Until):
		return RefusedOver, nil
	default:
		return "", nil
	}
}

func (w Wish) ineligible() (string, error) {
	if w.Reward.Eligible == nil {
		return "", nil
	}
	env, err := w.Env()
	if err != nil {
		return "", err
	}
	ok, err := w.Reward.Eligible.Bool(env)
	if cause := Cause(err); cause != nil {
		return "", cause
	}
	if err != nil || !ok {
		return RefusedNotEligible, nil //nolint:nilerr // an expression that fails is false
	}
	return "", nil
}

func (w Wish) oftenEnough() (string, error) {
	r := w.Reward
	if r.PerCustomer <= 0 {
		return "", nil
	}
	n, err := w.Tx.CountGrants(r.Name, w.Customer.ID, w.since(r.PerCustomerWithin))
	if n >= int64(r.PerCustomer) {
		return RefusedPerCustomer, err
	}
	return "", err
}

// since is when a span began that ends now; zero for good.
func (w Wish) since(within time.Duration) time.Time {
	if within <= 0 {
		return time.Time{}
	}
	return w.Tx.Now.Add(-within)
}

// soldOut counts over all customers.
func (w Wish) soldOut() (string, error) {
	r := w.Reward
	if r.AtMost <= 0 && r.Stock <= 0 && r.Budget <= 0 {
		return "", nil
	}
	if w.Claim {
		if err := w.Tx.LockReward(r.Name); err != nil {
			return "", err
		}
	}
	if r.AtMost > 0 {
		n, err := w.Tx.CountGrants(r.Name, "", w.since(r.Within))
		if err != nil || n >= int64(r.AtMost) {
			return RefusedSoldOut, err
		}
	}
	if r.Stock > 0 {
		n, err := w.Tx.CountGrants(r.Name, "", time.Time{})
		if err != nil || n >= int64(r.Stock) {
			return RefusedSoldOut, err
		}
	}
	if r.Budget > 0 {
		used, err := w.Tx.SumGrants(r.Name, w.since(r.BudgetWithin))
		if err != nil || used+r.Value > r.Budget+cent/2 {
			return RefusedBudget, err
		}
	}
	return "", nil
}

// cent is the smallest amount that a budget tells apart: half of it is more than adding floating point numbers gets wrong.
const cent = 0.01

func (w Wish) outOfCodes() (string, error) {
	if w.Reward.Codes != rules.CodesPool {
		return "", nil
	}
	free, err := w.Tx.FreeCodesUpTo(w.Reward.Name, 1)
	if err != nil || free > 0 {
		return "", err
	}
	if w.Claim {
		err = w.Tx.RaiseAlert(punchcard.AlertCodesLow, w.Reward.Name, punchcard.SeverityCritical, "empty")
	}
	return RefusedOutOfCodes, err
}

// Gift is a reward that is being given.
type Gift struct {
	Wish
	Grant     *punchcard.Grant // what is known of it: the run, the redemption, who gave it; the rest is filled in
	Version   int              // of the program whose catalog it is from
	ForPoints bool             // its cost is held
	Policy    *rules.Program   // today's
	Depth     int              // of what gives it
}

// Give makes a grant of a reward, within its limits, with its points held and a code of its own. It answers the code of the rule that says no, before anything is written,
// or "". Where the code is another system's, the grant awaits it: who gives asks once this is committed, and settles it by SettleCode. The customer is locked.
func Give(g Gift) (string, error) {
	g.Claim = true
	tx, reward, grant := g.Tx, g.Reward, g.Grant
	switch {
	case reward == nil:
		return RefusedUnknown, nil
	case g.ForPoints && reward.Cost <= 0:
		return RefusedNotForPoints, nil
	}
	if code, err := g.Refused(); err != nil || code != "" {
		return code, err
	}
	if g.ForPoints {
		grant.Cost = reward.Cost
		points, err := tx.PointsNow(g.Customer.ID)
		if err != nil {
			return "", err
		}
		if points.Available < grant.Cost {
			return store.ReasonNotEnoughPoints, nil
		}
		if code, err := RefusesRedemption(tx, g.Policy, reward, g.Customer, true); err != nil || code != "" {
			return code, err
		}
	}
	grant.ID, grant.CustomerID, grant.Reward = punchcard.NewID(punchcard.PrefixGrant), g.Customer.ID, reward.Name
	grant.Version, grant.CapturedBy, grant.Value = g.Version, reward.CapturedBy, reward.Value
	grant.Partial, grant.AwaitsCode = reward.Partial, reward.Codes == rules.CodesCall
	if reward.ValidFor > 0 {
		expires := tx.Now.Add(reward.ValidFor)
		grant.ExpiresAt = &expires
	}
	switch {
	case reward.Kind == rules.RewardPoints:
		grant.Status, grant.EndedAt = punchcard.GrantCaptured, &tx.Now
	case g.ForPoints:
		grant.Status = punchcard.GrantHeld
	default:
		grant.Status = punchcard.GrantGiven
	}
	if err := tx.AddGrant(grant); err != nil {
		return "", err
	}
	if grant.Cost > 0 {
		if err := tx.Hold(grant, grant.Cost, g.Policy.Grace); err != nil {
			return "", err
		}
	}
	if err := attachCode(tx, reward, grant); err != nil {
		return "", err
	}
	if reward.Kind != rules.RewardPoints {
		return "", nil
	}
	return "", Watch(tx, g.Policy, g.Customer, g.Depth, func() error {
		_, _, err := tx.Earn(g.Customer.ID, reward.Points, "reward", grant.ID, "earn/"+grant.ID, tx.Now, PointsExpiry(g.Policy, tx.Now))
		return err
	})
}

// attachCode gives a grant its code: one of the pool, or a new one.
func attachCode(tx *store.Tx, reward *rules.Reward, grant *punchcard.Grant) error {
	switch reward.Codes {
	case rules.CodesPool:
		code, err := tx.TakeCode(reward.Name, grant.ID)
		if err != nil {
			return err
		}
		if code == "" {
			// Others took the last ones since they were counted. What was written goes back, and the next try is refused.
			return fmt.Errorf("the last codes of %s were taken meanwhile: %w", reward.Name, store.ErrTryAgain)
		}
		if err := tx.SetGrantCode(grant, code); err != nil {
			return err
		}
		return LowStock(tx, reward)
	case rules.CodesGenerated:
		for {
			code, err := punchcard.NewCode(reward.Format)
			if err != nil {
				return err
			}
			fresh, err := tx.AddCode(code, reward.Name, grant.ID)
			if err != nil {
				return err
			}
			if fresh {
				return tx.SetGrantCode(grant, code)
			}
		}
	case rules.CodesCall:
		return tx.CanSealCodes() // before anybody is asked for one
	default:
		return nil
	}
}

// SettleCode ends a grant's waiting for its code: it gets the one that was issued, or, where asking for it failed, is given back. It answers why it has
// none, or "". A grant that has its code, or is over, is left as it is. The customer is locked.
func SettleCode(tx *store.Tx, g *punchcard.Grant, issued *punchcard.IssuedCode, failed string) (string, error) {
	switch awaits, err := tx.StillAwaits(g); {
	case err != nil:
		return "", err
	case !awaits && g.Code != "":
		return "", nil
	case !awaits && g.Reason != "":
		return g.Reason, nil
	case !awaits:
		return RefusedNoCode, nil
	}
	if failed == "" && issued.ExpiresAt != nil && !issued.ExpiresAt.After(tx.Now) {
		failed = codeExpired
	}
	if failed == "" {
		fresh, err := tx.IssueCode(g, issued)
		if err != nil {
			return "", err
		}
		if fresh {
			return "", tx.SettleAlert(punchcard.AlertNoCode, g.Reward, "a code came")
		}
		failed = codeTaken
	}
	// A redemption that comes to nothing is refused, as by any other rule.
	if g.RedemptionID != "" {
		if err := tx.EndRedemption(g.RedemptionID, g.CustomerID, punchcard.RedemptionRefused, RefusedNoCode); err != nil {
			return "", err
		}
	}
	if _, err := tx.GiveBack(g, RefusedNoCode); err != nil {
		return "", err
	}
	return RefusedNoCode, tx.RaiseAlert(punchcard.AlertNoCode, g.Reward, punchcard.SeverityCritical, failed)
}

// Why a code that another system answered is none; beside what calls.Caller says.
const (
	codeExpired = "code_expired" // its time is over already
	codeTaken   = "code_taken"   // another grant has it, or a pool
)

// LowStock raises an alert where a pool has run low. It counts no further than it has to.
func LowStock(tx *store.Tx, reward *rules.Reward) error {
	free, err := tx.FreeCodesUpTo(reward.Name, reward.LowStock+1)
	switch {
	case err != nil:
		return err
	case free == 0:
		return tx.RaiseAlert(punchcard.AlertCodesLow, reward.Name, punchcard.SeverityCritical, "empty")
	case free <= int64(reward.LowStock):
		return tx.RaiseAlert(punchcard.AlertCodesLow, reward.Name, punchcard.SeverityWarning, "low")
	default:
		return nil
	}
}
