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
	_, points, err := env.Own()
	if err != nil {
		return err
	}
	var can []*rules.Reward
	for _, reward := range r.policy.Rewards {
		if reward.Cost <= 0 || reward.Cost > points.Balance {
			continue
		}
		refused, err := fence.Wish{Tx: r.tx, Reward: reward, Customer: r.customer, Env: r.env}.Refused()
		if err == nil && refused == "" {
			refused, err = fence.RefusesRedemption(r.tx, r.policy.Program, reward, r.customer, false)
		}
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
		cost := strings.ReplaceAll(inLanguage(rowCost, r.customer.Language, r.policy.Language), "{cost}", strconv.FormatInt(reward.Cost, 10))
		menu.Rows = append(menu.Rows, fence.MenuRow{ID: rules.PayloadRedeem + reward.Name, Title: shortened(title, maxRowTitle), Description: cost})
	}
	return r.reply(replyMenu, menu)
}

// chose asks for the reward of the row that the customer chose.
func (r *routing) chose(reward string) error {
	err := redeemable(r.policy.Program, reward)
	if err == nil && len(r.policy.Entering(punchcard.EventRedemptionRequested)) == 0 {
		err = errNoJourney
	}
	if err != nil { // the program has changed since the menu was shown
		return r.reply(replyCannotHave, nil, "{reason}", fence.Words(punchcard.ReasonOf(err), r.customer.Language, r.policy.Language))
	}
	_, err = requestRedemption(r.tx, r.customer.ID, reward, "", r.event.Depth)
	return err
}

// wishOver tells whether the event asks for a reward by a redemption that has ended meanwhile.
func (r *routing) wishOver() (bool, error) {
	if r.event.Name != punchcard.EventRedemptionRequested {
		return false, nil
	}
	id, _ := r.event.Properties["redemption_id"].(string)
	wish, err := r.tx.Redemption(id)
	if err != nil || wish == nil {
		return false, err
	}
	return wish.EndedAt != nil, nil
}

var errNoJourney = punchcard.Errorf(punchcard.CodeConflict, "no journey of the program enters on %s", punchcard.EventRedemptionRequested).Because(punchcard.ReasonNoJourney)

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
		return nil, errNoJourney
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

// CancelRedemption gives a redemption up in the customer's name: its run ends as cancelled, and what is held is the customer's again. The
// errors are CodeNotFound for a redemption that is not there, and CodeConflict for one that has ended.
func (d *Dispatcher) CancelRedemption(ctx context.Context, id string) (*punchcard.Redemption, error) {
	found, err := d.store.View(ctx).Redemption(id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no redemption with that id")
	}
	var r *punchcard.Redemption
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(found.CustomerID); err != nil {
			return err
		}
		if r, err = tx.Redemption(id); err != nil {
			return err
		}
		cancelled, err := fence.CancelRedemption(tx, r)
		if err != nil {
			return err
		}
		if !cancelled {
			return punchcard.Errorf(punchcard.CodeConflict, "it is over already: %s", r.Status).Because("redemption_" + string(r.Status))
		}
		r, err = tx.Redemption(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.outbox.ring()
	return r, nil
}

// cancelPayload begins the payload of a row in the list of redemptions that can be given up.
const cancelPayload = "cancel:"

// saidCancel gives up the customer's open redemption. Of several, it asks which.
func (r *routing) saidCancel() error {
	open, err := r.tx.OpenRedemptions(r.customer.ID, maxRows)
	if err != nil {
		return err
	}
	switch len(open) {
	case 0:
		return r.reply(replyNoCancel, nil)
	case 1:
		return r.cancel(&open[0])
	}
	menu := &fence.Menu{Button: inLanguage(menuButton, r.customer.Language, r.policy.Language)}
	for _, o := range open {
		title, err := r.titleOfWish(&o)
		if err != nil {
			return err
		}
		menu.Rows = append(menu.Rows, fence.MenuRow{ID: cancelPayload + o.ID, Title: shortened(title, maxRowTitle)})
	}
	return r.reply(replyCancel, menu)
}

// choseCancel gives up the redemption of the row that the customer chose.
func (r *routing) choseCancel(id string) error {
	o, err := r.tx.Redemption(id)
	if err != nil {
		return err
	}
	if o == nil || o.CustomerID != r.customer.ID || o.EndedAt != nil {
		return r.reply(replyNoCancel, nil)
	}
	return r.cancel(o)
}

func (r *routing) cancel(o *punchcard.Redemption) error {
	if _, err := fence.CancelRedemption(r.tx, o); err != nil {
		return err
	}
	title, err := r.titleOfWish(o)
	if err != nil {
		return err
	}
	r.known = nil // the points are the customer's again
	return r.reply(replyCancelled, nil, "{reward}", title)
}

// titleOfWish is titleOf of what is asked for.
func (r *routing) titleOfWish(o *punchcard.Redemption) (string, error) {
	g, err := r.tx.Grant(o.GrantID)
	if err != nil {
		return "", err
	}
	if g == nil {
		return r.titleOf(o.Reward, 0)
	}
	return r.titleOf(o.Reward, g.Version)
}

// titleOf is what a customer calls a reward, or its name where that cannot be told. What the catalog has no more is called what it was in the
// version by which it was given; 0: none.
func (r *routing) titleOf(reward string, version int) (string, error) {
	item := r.policy.Rewards[reward]
	if item == nil && version > 0 {
		p, err := r.d.fence.Catalog.Program(r.ctx, version)
		if err != nil {
			return "", err
		}
		item = p.Rewards[reward]
	}
	if item == nil {
		return reward, nil
	}
	env, err := r.env()
	if err != nil {
		return "", err
	}
	title, err := item.Title.Render(r.customer.Language, env)
	if err != nil {
		return reward, r.failed(err, "reward "+reward)
	}
	return title, nil
}

// shortened is a text in at most so many characters.
func shortened(s string, most int) string {
	if t := []rune(s); len(t) > most {
		return string(t[:most-1]) + "…"
	}
	return s
}
