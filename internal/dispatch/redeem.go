package dispatch

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// WhatsApp's bounds on a list: ten rows, and characters in a row's title.
const (
	maxRows     = 10
	maxRowTitle = 24
)

// offerMenu answers with a list of the rewards that the customer can afford and have now, cheapest first.
func (r *routing) offerMenu() error {
	env, err := r.env()
	if err != nil {
		return err
	}
	var can []*rules.Reward
	for _, reward := range r.policy.Rewards {
		if reward.Cost <= 0 || reward.Cost > env.Points.Balance {
			continue
		}
		refused, err := fence.Wish{Tx: r.tx, Reward: reward, Customer: r.customer, Env: r.env}.Refused()
		if err != nil {
			return err
		}
		if refused == "" {
			can = append(can, reward)
		}
	}
	slices.SortFunc(can, func(a, b *rules.Reward) int {
		if a.Cost != b.Cost {
			return int(a.Cost - b.Cost)
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(can) == 0 {
		return r.reply(replyNothing, nil)
	}
	menu := &fence.Menu{Button: inLanguage(menuButton, r.customer.Language, r.policy.Language)}
	for _, reward := range can[:min(len(can), maxRows)] {
		title, err := reward.Title.Render(r.customer.Language, env)
		if err != nil {
			if err := r.failed(err, "reward "+reward.Name); err != nil {
				return err
			}
			continue
		}
		if t := []rune(title); len(t) > maxRowTitle {
			title = string(t[:maxRowTitle-1]) + "…"
		}
		cost := strings.ReplaceAll(inLanguage(rowCost, r.customer.Language, r.policy.Language), "{cost}", strconv.FormatInt(reward.Cost, 10))
		menu.Rows = append(menu.Rows, fence.MenuRow{ID: redeemPayload + reward.Name, Title: title, Description: cost})
	}
	return r.reply(replyMenu, menu)
}

// chose asks for the reward of the row that the customer chose.
func (r *routing) chose(reward string) error {
	if err := redeemable(r.policy.Program, reward); err != nil {
		return r.reply(replyNothing, nil) // the catalog has changed since the menu was shown
	}
	_, err := requestRedemption(r.tx, r.customer.ID, reward, "", r.event.Depth)
	return err
}

// redeemable refuses a reward that cannot be had for points.
func redeemable(p *rules.Program, name string) error {
	reward := p.Rewards[name]
	if reward == nil {
		return punchcard.Errorf(punchcard.CodeNotFound, "there is no reward %q in the program", name).In("reward").Because("unknown_reward")
	}
	if reward.Cost <= 0 {
		return punchcard.Errorf(punchcard.CodeInvalid, "reward %q has no cost in points, so it cannot be asked for", name).In("reward").Because("not_for_points")
	}
	return nil
}

// requestRedemption stores the wish and raises it.
func requestRedemption(tx *store.Tx, customer, reward, request string, depth int) (*punchcard.Redemption, error) {
	redemption := &punchcard.Redemption{
		ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: customer, Reward: reward, Request: request,
	}
	if err := tx.AddRedemption(redemption); err != nil {
		return nil, err
	}
	return redemption, fence.Raise(tx, customer, punchcard.EventRedemptionRequested, map[string]any{
		"redemption_id": redemption.ID, "reward": reward,
	}, depth)
}

// RequestRedemption asks for a reward in a customer's name. The errors are CodeNotFound for a reward or customer that is not
// there, and CodeInvalid for a reward that has no cost in points. Whether the points reach is decided by the journey. A request
// that is not empty names the wish: the second time it answers what was stored the first.
func (d *Dispatcher) RequestRedemption(ctx context.Context, customer, reward, request string) (*punchcard.Redemption, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	if err := redeemable(policy.Program, reward); err != nil {
		return nil, err
	}
	if len(policy.Entering(punchcard.EventRedemptionRequested)) == 0 {
		return nil, punchcard.Errorf(punchcard.CodeConflict, "no journey of the program enters on %s", punchcard.EventRedemptionRequested).Because("no_journey")
	}
	var redemption *punchcard.Redemption
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		// The customer is locked, so of two with one request the second finds what the first has stored.
		if redemption, err = tx.RedemptionOfRequest(request); err != nil || redemption != nil {
			return err
		}
		redemption, err = requestRedemption(tx, c.ID, reward, request, -1)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.events.ring()
	return redemption, nil
}

// capturedByTill is what a reward says whose grants are used by Capture.
const capturedByTill = "till"

// Capture uses the grant that a code went to. The errors are CodeNotFound for a code that is none, CodeGone for one that is
// released or expired, and CodeConflict for one that was captured before or is captured by something else.
func (d *Dispatcher) Capture(ctx context.Context, code string) (*punchcard.Grant, error) {
	code = punchcard.NormalizeCode(code)
	if code == "" || len(code) > punchcard.MaxExternalID || !clean(code) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "give the code to capture").In("code")
	}
	found, err := d.store.View(ctx).GrantByCode(code)
	if err != nil {
		return nil, err
	}
	unknown := punchcard.Errorf(punchcard.CodeNotFound, "no reward has that code").Because("unknown_code")
	if found == nil {
		return nil, unknown
	}
	var grant *punchcard.Grant
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(found.CustomerID); err != nil {
			return err
		}
		if grant, err = tx.Grant(found.ID); err != nil {
			return err
		}
		switch {
		case grant == nil:
			return unknown
		case grant.Status == punchcard.GrantCaptured:
			return punchcard.Errorf(punchcard.CodeConflict, "that code was used at %s", grant.EndedAt.Format("2006-01-02 15:04 MST")).Because("already_captured")
		case grant.Status == punchcard.GrantReleased:
			return punchcard.Errorf(punchcard.CodeGone, "that code is void: its reward was given back").Because("released")
		case expired(grant, tx.Now):
			return punchcard.Errorf(punchcard.CodeGone, "that code expired at %s", grant.ExpiresAt.Format("2006-01-02 15:04 MST")).Because("expired")
		case grant.CapturedBy != "" && grant.CapturedBy != capturedByTill:
			return punchcard.Errorf(punchcard.CodeConflict, "that code is not used at the till but by %s", grant.CapturedBy).Because("not_at_till")
		}
		_, err := fence.Capture(tx, grant, -1)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.events.ring()
	return grant, nil
}
