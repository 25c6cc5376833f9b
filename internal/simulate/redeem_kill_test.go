package simulate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// way is how a redemption may go once its points are held, and how it ends.
type way struct {
	name, reward string
	whole        bool // it is killed at each step from the wish on; otherwise from where it parts from those that are
	goes         func(d *doomed)
	spent        bool
	grant        punchcard.GrantStatus
	outcomes     []string // of the run: which one depends on where it was killed
}

// What a redemption may end as, other than used.
var (
	released    = punchcard.GrantReleased
	captured    = punchcard.GrantCaptured
	undelivered = []string{"undelivered", "expired"} // a message that was cut off may have come, and is waited for
)

var ways = []way{
	{name: "captured", reward: "cup", whole: true, goes: (*doomed).captures, spent: true, grant: captured, outcomes: []string{"redeemed"}},
	{name: "cancelled", reward: "cup", whole: true, goes: (*doomed).cancels, grant: released, outcomes: []string{"cancelled"}},
	{name: "unused", reward: "cup", whole: true, goes: func(*doomed) {}, grant: released, outcomes: []string{"expired"}},
	{name: "unreviewed", reward: "dear", whole: true, goes: func(*doomed) {}, grant: released, outcomes: []string{"unreviewed"}},
	{name: "rejected", reward: "dear", goes: func(d *doomed) { d.decides(false) }, grant: released, outcomes: []string{"rejected"}},
	{name: "approved", reward: "dear", goes: func(d *doomed) { d.decides(true); d.captures() }, spent: true, grant: captured, outcomes: []string{"redeemed"}},
	{name: "cancelled unreviewed", reward: "dear", goes: (*doomed).cancels, grant: released, outcomes: []string{"cancelled"}},
	{name: "cancelled by the customer", reward: "cup", goes: (*doomed).saysCancel, grant: released, outcomes: []string{"cancelled"}},
	{name: "cancelled by the customer unreviewed", reward: "dear", goes: (*doomed).saysCancel, grant: released, outcomes: []string{"cancelled"}},
	{name: "undelivered", reward: "cup", whole: true, goes: func(*doomed) {}, grant: released, outcomes: undelivered},
	{name: "failed", reward: "cup", goes: (*doomed).hearsItFailed, grant: released, outcomes: []string{"expired"}},
	{name: "expired", reward: "brief", goes: func(*doomed) {}, grant: released, outcomes: []string{"expired"}},
	{name: "expired unreviewed", reward: "hasty", goes: func(*doomed) {}, grant: released, outcomes: []string{"unreviewed"}},
	{name: "taken back", reward: "cup", goes: (*doomed).takesBack, spent: true, grant: captured, outcomes: []string{"redeemed"}},
}

// A redemption is killed at each single step of its saga, before what the step wrote is kept and after: whichever way it goes, once time is
// over the points and the code are accounted for.
func TestKillAtEachStep(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				b := setup(t, fresh(t), doomedRewards(t))
				for _, after := range []bool{true, false} {
					at := 1
					for ; b.killOnce(t, w, at, after); at++ {
						require.Less(t, at, 100)
					}
					require.Greater(t, at, 2, "it was killed")
				}
			})
		})
	}
}

// doomedRewards is the coffee program with rewards that are had at once, or by a person's word, and for long, or not.
func doomedRewards(t *testing.T) fstest.MapFS {
	t.Helper()
	program := till(t, "")
	rewards := string(program["rewards.yaml"].Data)
	for _, r := range []struct {
		name, valid string
		value       int
	}{{"cup", "60d", 4}, {"dear", "60d", 60}, {"brief", "2d", 4}, {"hasty", "12h", 60}} {
		rewards += fmt.Sprintf("\n  %s: {kind: offer, title: %s, cost: 250, value: %d, codes: pool, valid_for: %s, captured_by: till}", r.name, r.name, r.value, r.valid)
	}
	return add(program, "rewards.yaml", rewards+"\n")
}

// doomed is a redemption whose process is killed once.
type doomed struct {
	*bundle

	t        *testing.T
	w        way
	customer *punchcard.Customer
	phone    string
	armed    bool // from now on it may be killed
	killed   bool
	sent     int // how many messages had left before
	r        *punchcard.Redemption
}

// killOnce takes a new customer the whole way, killed once.
func (b *bundle) killOnce(t *testing.T, w way, at int, after bool) bool {
	t.Helper()
	b.seq++
	d := &doomed{bundle: b, t: t, w: w, phone: fmt.Sprintf("+452012%04d", b.seq), armed: w.whole, sent: len(b.wa.sent)}
	why := fmt.Sprintf("%s, killed at %d, after %v", w.name, at, after)
	require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) (err error) {
		d.customer, err = tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: d.phone}}, punchcard.Customer{Language: "en"})
		if err != nil {
			return err
		}
		if _, err := tx.PoolCodes(w.reward, []string{fmt.Sprintf("FRESH%d", b.seq)}); err != nil {
			return err
		}
		_, err = tx.Adjust(store.Adjustment{CustomerID: d.customer.ID, Points: 400, Author: "Mia", Note: "A test", Key: d.phone})
		return err
	}))
	b.wa.fail = nil
	if w.name == "undelivered" {
		b.wa.fail = []error{refusal(131026), refusal(131026), refusal(131026)}
	}
	n := 0
	b.Store.Kill(func(committed bool) bool {
		if committed != after || d.killed || !d.armed {
			return false
		}
		n++
		d.killed = n == at
		return d.killed
	})
	d.insist(func() (err error) {
		d.r, err = b.Dispatch.RequestRedemption(b.ctx, d.customer.ID, w.reward, "wish/"+d.phone)
		return err
	})
	d.reads()
	require.NotEmpty(t, d.r.GrantID, why)
	d.armed = true
	w.goes(d)
	d.lives(17 * day)
	b.Store.Kill(nil)
	d.accounted(why)
	return d.killed
}

// insist does something as the backend, the till and WhatsApp do: what is not answered is done again, with the same key.
func (d *doomed) insist(what func() error) {
	d.t.Helper()
	was := d.killed
	if err := what(); err != nil {
		require.True(d.t, d.killed && !was, "%v", err)
		require.NoError(d.t, what())
	}
	d.lives(10 * time.Minute)
}

// lives lets time pass. A process that was killed begins again, and takes up what it had claimed.
func (d *doomed) lives(span time.Duration) {
	d.t.Helper()
	for {
		was := d.killed
		err := d.Advance(d.ctx, span)
		if !d.killed {
			require.NoError(d.t, err)
			return
		}
		d.Dispatch = dispatch.New(d.Fence, d.Engine, quiet)
		require.NoError(d.t, d.Store.Update(d.ctx, func(tx *store.Tx) error { return tx.ReleaseClaims() }))
		if was {
			require.NoError(d.t, d.Advance(d.ctx, span))
			return
		}
	}
}

// reads reads the redemption again.
func (d *doomed) reads() {
	d.t.Helper()
	r, err := d.Store.View(d.ctx).Redemption(d.r.ID)
	require.NoError(d.t, err)
	d.r = r
}

func (d *doomed) uses(request string) (id string) {
	d.t.Helper()
	code, err := d.Store.View(d.ctx).CodeOf(d.r.GrantID)
	require.NoError(d.t, err)
	d.insist(func() error {
		c, err := d.Dispatch.Capture(d.ctx, dispatch.Use{Code: code, Request: request + "/" + d.phone})
		if err == nil {
			id = c.Capture.ID
		}
		return err
	})
	return id
}

func (d *doomed) captures() { d.t.Helper(); d.uses("till") }

// takesBack has a use taken back, and the code used again.
func (d *doomed) takesBack() {
	d.t.Helper()
	id := d.uses("till")
	d.insist(func() error {
		_, err := d.Dispatch.ReverseCapture(d.ctx, id, "Mia", "The wrong table", "back/"+d.phone)
		return err
	})
	g, err := d.Store.View(d.ctx).Grant(d.r.GrantID)
	require.NoError(d.t, err)
	require.Equal(d.t, punchcard.GrantGiven, g.Status)
	d.uses("again")
}

func (d *doomed) cancels() {
	d.t.Helper()
	d.insist(func() error {
		_, err := d.Dispatch.CancelRedemption(d.ctx, d.r.ID)
		if punchcard.ReasonOf(err) == "redemption_released" {
			return nil // it was cancelled, and the answer was lost
		}
		return err
	})
}

// saysCancel has the customer write the word; WhatsApp tells until it is answered.
func (d *doomed) saysCancel() {
	d.t.Helper()
	d.tells(map[string]any{"messages": []any{map[string]any{
		"type": "text", "text": map[string]any{"body": "Cancel"}, "id": "wamid.in." + d.phone, "from": strings.TrimPrefix(d.phone, "+"), "timestamp": "1749416383",
	}}})
}

// hearsItFailed has WhatsApp tell that the message with the code was not delivered after all.
func (d *doomed) hearsItFailed() {
	d.t.Helper()
	all, err := d.Store.View(d.ctx).Messages(d.customer.ID, "", 10)
	require.NoError(d.t, err)
	i := slices.IndexFunc(all, func(m punchcard.Message) bool { return m.Template == "reward_code" })
	require.GreaterOrEqual(d.t, i, 0)
	d.tells(map[string]any{"statuses": []any{map[string]any{
		"id": *all[i].Wamid, "status": "failed", "timestamp": "1749416383", "recipient_id": strings.TrimPrefix(d.phone, "+"), "biz_opaque_callback_data": all[i].ID,
		"errors": []any{map[string]any{"code": 131026, "title": "undeliverable"}},
	}}})
}

func (d *doomed) tells(value map[string]any) {
	d.t.Helper()
	value["messaging_product"] = "whatsapp"
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "1", "changes": []any{
		map[string]any{"field": "messages", "value": value},
	}}}})
	require.NoError(d.t, err)
	d.insist(func() error { return d.Dispatch.Receive(d.ctx, body) })
}

// decides has a person say yes or no.
func (d *doomed) decides(yes bool) {
	d.t.Helper()
	pending, err := d.Store.View(d.ctx).Approvals(punchcard.ApprovalPending, "", 100)
	require.NoError(d.t, err)
	pending = slices.DeleteFunc(pending, func(a punchcard.Approval) bool { return a.RunID != d.r.RunID })
	require.Len(d.t, pending, 1)
	d.insist(func() error {
		_, err := d.Dispatch.Decide(d.ctx, pending[0].ID, yes, "Mia", "")
		if reason := punchcard.ReasonOf(err); reason == string(punchcard.ApprovalApproved) || reason == string(punchcard.ApprovalRejected) {
			return nil // it was decided, and the answer was lost
		}
		return err
	})
}

// accounted demands that the points and the code are where they belong.
func (d *doomed) accounted(why string) {
	d.t.Helper()
	t, view := d.t, d.Store.View(d.ctx)
	d.reads()
	g, err := view.Grant(d.r.GrantID)
	require.NoError(t, err)
	points, err := view.PointsNow(d.customer.ID)
	require.NoError(t, err)
	available, redemption, end := int64(400), punchcard.RedemptionReleased, punchcard.LedgerRelease
	if d.w.spent {
		available, redemption, end = 150, punchcard.RedemptionCaptured, punchcard.LedgerCapture
	}
	require.Equal(t, []any{available, int64(0), redemption, d.w.grant}, []any{points.Available, points.Held, d.r.Status, g.Status}, why)
	coffees, err := view.CountGrants(d.w.reward, d.customer.ID, time.Time{})
	require.NoError(t, err)
	require.Equal(t, d.w.spent, coffees == 1, "of those that were not given back: %s", why)
	free, err := view.FreeCodes(d.w.reward)
	require.NoError(t, err)
	require.Zero(t, free, "one code was taken, and is never pooled again: %s", why)
	entries, err := view.Ledger(d.customer.ID, 0, 100)
	require.NoError(t, err)
	var kinds []punchcard.LedgerKind
	sum := int64(0)
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
		sum += e.Moves(punchcard.PointsAvailable)
	}
	require.Equal(t, points.Available, sum, why)
	require.Equal(t, []punchcard.LedgerKind{punchcard.LedgerAdjust, punchcard.LedgerHold, end}, kinds, "held once, and ended once: %s", why)
	run, err := view.Run(d.r.RunID)
	require.NoError(t, err)
	require.Equal(t, punchcard.RunEnded, run.Status, why)
	require.Contains(t, d.w.outcomes, run.Outcome, why)
	told, err := view.Total(d.customer.ID, punchcard.EventRedemptionCaptured, "", 0)
	require.NoError(t, err)
	require.Equal(t, d.w.spent, told == 1, why)
	pending, err := view.Approvals(punchcard.ApprovalPending, "", 100)
	require.NoError(t, err)
	require.Empty(t, pending, why)
	shown := 0
	for _, m := range d.wa.sent[d.sent:] {
		if m.To == d.phone && m.Template != nil && strings.HasPrefix(m.Template.Name, "reward_code") {
			shown++
		}
	}
	require.LessOrEqual(t, shown, 1, "a code is sent once: %s", why)
	runs, err := view.Runs(d.customer.ID, "", 10)
	require.NoError(t, err)
	for _, other := range runs {
		require.Equal(t, punchcard.RunEnded, other.Status, "%s: %s", other.Journey, why)
	}
}
