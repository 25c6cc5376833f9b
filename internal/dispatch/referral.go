package dispatch

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Sources of a referral that are no event's name.
const (
	sourceMessage = "message"
	sourceAPI     = "api"
)

const (
	// maxRefusals is how many refusals of one customer are recorded within refusalsWithin: somebody may be guessing.
	maxRefusals    = 10
	refusalsWithin = 24 * time.Hour
	// referralSlack is how much earlier than the friend's coming what makes it count may be: clocks and queues differ.
	referralSlack = time.Hour
)

// attribute has an event say whose code its customer came with. It comes before the event counts: what it is may make it count at once.
func (r *routing) attribute() error {
	if r.policy.Referral == nil {
		return nil
	}
	code, ok := r.event.Properties[rules.ReferralProperty].(string)
	if !ok || code == "" || r.policy.Builtin(r.event.Name) {
		return nil
	}
	_, err := attribute(r.tx, r.policy.Program, r.customer, code, r.event.Name, r.event.OccurredAt)
	return err
}

// attribute records that a customer came by a code, or why they did not. It answers what was recorded; nil when nothing was, because they
// came by the same customer before, or had too many refusals. The customer is locked.
func attribute(tx *store.Tx, p *rules.Program, friend *punchcard.Customer, code, source string, at time.Time) (*punchcard.Referral, error) {
	if err := tx.LockReferrals(); err != nil {
		return nil, err
	}
	code = punchcard.NormalizeCode(code)
	if !punchcard.IsReferralCode(code) {
		code = "" // it may be anything
	}
	ref := &punchcard.Referral{
		ID: punchcard.NewID(punchcard.PrefixReferral), Code: code, FriendID: friend.ID, Status: punchcard.ReferralAttributed, Source: source, At: at,
	}
	referrer, err := tx.ReferralCodeOf(code)
	if err != nil {
		return nil, err
	}
	if referrer != "" {
		c, err := tx.Customer(referrer) // they may have been merged since
		if err != nil {
			return nil, err
		}
		ref.ReferrerID, ref.Pair = &c.ID, punchcard.PairOf(c.ID, friend.ID)
	}
	have, err := tx.ReferralOf(friend.ID)
	if err != nil {
		return nil, err
	}
	if have != nil && ref.ReferrerID != nil && *have.ReferrerID == *ref.ReferrerID {
		return nil, nil
	}
	if ref.Reason, err = refusal(tx, p, ref, have); err != nil {
		return nil, err
	}
	if ref.Reason == "" {
		tx.Tell(friend.ID, toldReferral(punchcard.HookReferralAttributed, ref, punchcard.RoleFriend))
		return ref, tx.AddReferral(ref)
	}
	ref.Status, ref.EndedAt = punchcard.ReferralRefused, &tx.Now
	n, err := tx.RefusedSince(friend.ID, tx.Now.Add(-refusalsWithin))
	if err != nil || n >= maxRefusals {
		return nil, err
	}
	return ref, tx.AddReferral(ref)
}

// refusal is why a customer does not come by a code, "" if they do.
func refusal(tx *store.Tx, p *rules.Program, ref, have *punchcard.Referral) (string, error) {
	if ref.ReferrerID == nil {
		return punchcard.ReferralUnknownCode, nil
	}
	if *ref.ReferrerID == ref.FriendID {
		return punchcard.ReferralSelf, nil
	}
	if same, err := tx.ShareNames(*ref.ReferrerID, ref.FriendID); err != nil || same {
		return punchcard.ReferralSamePerson, err
	}
	if have != nil {
		return punchcard.ReferralAlready, nil
	}
	if ring, err := tx.Brought(ref.FriendID, *ref.ReferrerID); err != nil || ring {
		return punchcard.ReferralRing, err
	}
	if n, err := tx.Total(ref.FriendID, p.Referral.On, "", 0); err != nil || n > 0 {
		return punchcard.ReferralNotNew, err
	}
	return "", nil
}

func toldReferral(kind punchcard.HookType, ref *punchcard.Referral, role string) punchcard.ReferralTold {
	return punchcard.ReferralTold{Type: kind, ReferralID: ref.ID, Role: role, ReferrerID: *ref.ReferrerID, FriendID: ref.FriendID}
}

// count makes the customer's referral count, if the event is what does. It comes after the event has counted: a refund may have come first.
func (r *routing) count() error {
	rule := r.policy.Referral
	if rule == nil || rule.On != r.event.Name {
		return nil
	}
	ref, err := r.tx.ReferralOf(r.customer.ID)
	if err != nil || ref == nil || ref.Status != punchcard.ReferralAttributed {
		return err
	}
	env, err := r.env()
	if err != nil {
		return err
	}
	if ok, err := rule.Where.Bool(env); err != nil || !ok {
		return r.failed(err, "referral")
	}
	if undone, err := r.tx.Undone(r.event.ID); err != nil || undone {
		return err
	}
	if err := r.tx.LockReferrals(); err != nil {
		return err
	}
	if ref.Reason, err = r.tooMuch(ref); err != nil {
		return err
	}
	if ref.Reason != "" {
		ref.Status, ref.EndedAt = punchcard.ReferralRefused, &r.tx.Now
		return r.tx.SaveReferral(ref)
	}
	ref.Status, ref.EventID, ref.CompletedAt = punchcard.ReferralCompleted, r.event.ID, &r.tx.Now
	if err := r.tx.SaveReferral(ref); err != nil {
		return err
	}
	return r.raiseReferral(punchcard.EventReferralCompleted, ref)
}

// tooMuch is why a referral does not come to count any more, "" if it does.
func (r *routing) tooMuch(ref *punchcard.Referral) (string, error) {
	rule := r.policy.Referral
	if r.event.OccurredAt.Before(ref.At.Add(-referralSlack)) {
		return punchcard.ReferralNotNew, nil // it came late, and was there before the friend came
	}
	if rule.Timeout > 0 && r.event.OccurredAt.After(ref.At.Add(rule.Timeout)) {
		return punchcard.ReferralTooLate, nil
	}
	if rule.AtMost == 0 {
		return "", nil
	}
	n, err := r.tx.CompletedSince(*ref.ReferrerID, r.tx.Now.Add(-rule.Within))
	if err != nil || n >= int64(rule.AtMost) {
		return punchcard.ReferralLimit, err
	}
	return "", nil
}

// uncount takes back the referral that an event made count, once that is undone as a whole.
func (r *routing) uncount(event string) error {
	ref, err := r.tx.CompletedBy(r.customer.ID, event)
	if err != nil || ref == nil {
		return err
	}
	if ref.Status == punchcard.ReferralCompleted {
		ref.Status = punchcard.ReferralReversed
	} else {
		ref.EventID = "" // a merge has refused it, and it stays so; what it earned goes now
	}
	ref.EndedAt = &r.tx.Now
	if err := r.tx.SaveReferral(ref); err != nil {
		return err
	}
	return r.raiseReferral(punchcard.EventReferralReversed, ref)
}

// raiseReferral raises an event for each of the two, in the order of their ids.
func (r *routing) raiseReferral(name string, ref *punchcard.Referral) error {
	if r.policy.Referral == nil {
		return nil // the program has referrals no more, and no such event
	}
	roles := [2][2]string{{*ref.ReferrerID, punchcard.RoleReferrer}, {ref.FriendID, punchcard.RoleFriend}}
	if roles[1][0] < roles[0][0] {
		roles[0], roles[1] = roles[1], roles[0]
	}
	for _, one := range roles {
		err := fence.Raise(r.tx, one[0], name, map[string]any{
			"referral_id": ref.ID, "role": one[1], "referrer_id": *ref.ReferrerID, "friend_id": ref.FriendID,
		}, r.event.Depth)
		if err != nil {
			return err
		}
	}
	return nil
}

// OwnReferral is a customer's part in referrals.
type OwnReferral struct {
	Code    string
	Link    string // "" where nobody has said the business's number
	By      *punchcard.Referral
	Friends map[punchcard.ReferralStatus]int64
}

var errNoReferrals = punchcard.Errorf(punchcard.CodeConflict, "the program has no referral").Because("no_referral")

// OwnReferral is a customer's code and link, who brought them, and how their friends stand. The error is CodeConflict where the program has
// no `referral`.
func (d *Dispatcher) OwnReferral(ctx context.Context, customer string) (*OwnReferral, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	if policy.Referral == nil {
		return nil, errNoReferrals
	}
	own := &OwnReferral{}
	return own, d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		if own.Code, own.Link, err = fence.Referral(tx, policy.Program, c.ID); err != nil {
			return err
		}
		if own.By, err = tx.ReferralOf(c.ID); err != nil {
			return err
		}
		own.Friends, err = tx.CountReferrals(c.ID)
		return err
	})
}

// Refer says whose code a customer came with. The error is CodeConflict with the reason of a refusal, which is recorded, and where the
// program has no `referral`. One who came by the same customer before is answered with that.
func (d *Dispatcher) Refer(ctx context.Context, customer, code string) (*punchcard.Referral, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	if policy.Referral == nil {
		return nil, errNoReferrals
	}
	if err := name(code, "code"); err != nil {
		return nil, err
	}
	var ref *punchcard.Referral
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		if ref, err = attribute(tx, policy.Program, c, code, sourceAPI, tx.Now); err != nil || ref != nil {
			return err
		}
		ref, err = tx.ReferralOf(c.ID)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case ref == nil:
		return nil, punchcard.Errorf(punchcard.CodeConflict, "this customer was refused too often today").Because("too_many_refusals")
	case ref.Status == punchcard.ReferralRefused:
		return nil, punchcard.Errorf(punchcard.CodeConflict, "the customer did not come by that code: %s", ref.Reason).Because(ref.Reason)
	default:
		return ref, nil
	}
}
