package simulate_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// Thirty days of a shop take seconds; -rapid.checks=1000 tries more.
func init() { _ = flag.Set("rapid.checks", "30") } //nolint:gochecknoinits // the flag is read before any test

// Whatever comes between them, in any order: orders that earn and are refunded, adjustments, wishes, a person's word, uses in parts that are
// taken back, cancelling, time, and the two customers turning out to be one while points are held. The ledger, the account, the lots, the
// holds, the captures and the redemptions say the same after each.
func TestRedemptionProperty(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.DSN(t, dialect)
			shop := &counter{bundle: setup(t, storetest.Open(t, dsn), forPoints(t)), db: rawly(t, dialect, dsn)}
			rapid.Check(t, func(t *rapid.T) { shop.day(t) })
		})
	}
}

// forPoints is the coffee program with cards that are had for points and used in parts: one at once, one by a person's word.
func forPoints(t *testing.T) fstest.MapFS {
	t.Helper()
	program := till(t, "fraud: {reverse_within: 3d}")
	return add(program, "rewards.yaml", string(program["rewards.yaml"].Data)+
		"\n  treat: {kind: gift_card, title: A treat, cost: 60, value: 10, codes: generated, valid_for: 20d, partial: true, captured_by: till}"+
		"\n  feast: {kind: gift_card, title: A feast, cost: 90, value: 60, codes: generated, valid_for: 20d, partial: true, captured_by: till}\n")
}

// rawly opens a test's database behind the store's back.
func rawly(t *testing.T, dialect store.Dialect, dsn string) *sql.DB {
	t.Helper()
	driver, address := "pgx", dsn
	if dialect == store.SQLite {
		driver, address = "sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// counter is where the property test's customers come.
type counter struct {
	*bundle
	db   *sql.DB
	days int
}

// visitors are two customers, who may turn out to be one, and what must be true of them by all that was done.
type visitors struct {
	*counter

	t        *rapid.T
	ids      [2]string
	phones   [2]string
	merged   bool
	orders   []*sale
	given    int64 // by hand, less what was taken
	left     map[string]punchcard.Amount
	captures []*use
	reversed string // the grant of which a use was taken back just now
	before   map[string]seen
}

type sale struct {
	id       string
	of       int
	total    float64
	refunded float64
}

type use struct {
	id, grant string
	amount    punchcard.Amount
	at        time.Time
	back      bool
}

// seen is what of a grant and its redemption can only go forward.
type seen struct {
	status     punchcard.GrantStatus
	redemption punchcard.RedemptionStatus
	ended      bool
}

func (c *counter) day(t *rapid.T) {
	c.days++
	v := &visitors{counter: c, t: t, left: map[string]punchcard.Amount{}, before: map[string]seen{}}
	for i := range v.ids {
		v.phones[i] = fmt.Sprintf("+4520%05d%d", c.days, i)
		v.tell(i, "cart.emptied", map[string]any{"cart_id": "c"}) // which gives a card
		found, err := c.Store.View(c.ctx).Identify([]punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: v.phones[i]}})
		require.NoError(t, err)
		v.ids[i] = found.ID
		v.adjust(i, 100)
	}
	v.sound()
	acts := map[string]func(){
		"order": v.order, "refund": v.refund, "adjust": func() {
			v.adjust(v.who(), rapid.Int64Range(-80, 120).Filter(func(n int64) bool { return n != 0 }).Draw(t, "points"))
		}, "wish": v.wish, "decide": v.decide, "capture": v.capture, "reverse": v.reverse, "cancel": v.cancel, "merge": v.merge,
		"time": func() {
			v.pass(rapid.SampledFrom([]time.Duration{time.Hour, 2 * day, 9 * day, 16 * day}).Draw(t, "passes"))
		},
	}
	names := []string{"order", "refund", "adjust", "wish", "wish", "wish", "decide", "capture", "capture", "capture", "reverse", "reverse", "cancel", "merge", "time", "time"}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 4, 16).Draw(t, "acts") {
		v.reversed = ""
		acts[name]()
		v.sound()
	}
	v.pass(41 * day)
	v.sound()
	for _, g := range v.grants() {
		v.uses(g, 0) // none can be used, and each says why
	}
	for _, u := range v.captures {
		v.takesBack(u)
	}
	v.sound()
	for _, r := range v.redemptions() {
		require.NotNil(t, r.EndedAt, "every wish is over one day")
		if r.RunID != "" {
			run, err := c.Store.View(c.ctx).Run(r.RunID)
			require.NoError(t, err)
			require.Equal(t, punchcard.RunEnded, run.Status)
		}
	}
	for _, id := range v.live() {
		p, err := c.Store.View(c.ctx).PointsNow(id)
		require.NoError(t, err)
		require.Zero(t, p.Held)
	}
}

func (v *visitors) who() int { return rapid.IntRange(0, 1).Draw(v.t, "who") }

// live are the ids of those who are nobody else.
func (v *visitors) live() []string {
	first, err := v.Store.View(v.ctx).Customer(v.ids[0])
	require.NoError(v.t, err)
	second, err := v.Store.View(v.ctx).Customer(v.ids[1])
	require.NoError(v.t, err)
	if first.ID == second.ID {
		return []string{first.ID}
	}
	return []string{first.ID, second.ID}
}

func (v *visitors) settle() { require.NoError(v.t, v.Settle(v.ctx)) }

func (v *visitors) tell(who int, name string, properties map[string]any) {
	v.seq++
	receipt, err := v.Dispatch.Ingest(v.ctx, []dispatch.Incoming{{
		ID: fmt.Sprintf("e%d", v.seq), Name: name, Customer: dispatch.Reference{Phone: v.phones[who]}, Properties: properties,
	}})
	require.NoError(v.t, err)
	require.Empty(v.t, receipt.Rejected)
	v.settle()
}

func (v *visitors) order() {
	v.seq++
	o := &sale{id: fmt.Sprint("o", v.seq), of: v.who(), total: float64(rapid.IntRange(10, 90).Draw(v.t, "total"))}
	v.orders = append(v.orders, o)
	v.tell(o.of, "order.placed", map[string]any{"order_id": o.id, "total": o.total})
}

func (v *visitors) refund() {
	if len(v.orders) == 0 {
		return
	}
	o := v.orders[rapid.IntRange(0, len(v.orders)-1).Draw(v.t, "order")]
	total := o.total
	if rapid.Bool().Draw(v.t, "part") {
		total = float64(rapid.IntRange(1, int(o.total)).Draw(v.t, "refund"))
	}
	o.refunded += total
	v.tell(o.of, "order.refunded", map[string]any{"order_id": o.id, "total": total})
}

func (v *visitors) adjust(who int, points int64) {
	now, err := v.Store.View(v.ctx).Customer(v.ids[who])
	require.NoError(v.t, err)
	p, err := v.Store.View(v.ctx).PointsNow(now.ID)
	require.NoError(v.t, err)
	done, err := v.Dispatch.Adjust(v.ctx, v.ids[who], dispatch.Adjustment{Points: points, By: "Mia", Reason: "A test"})
	require.Equal(v.t, p.Available+points >= 0, done, "%v", err)
	require.Equal(v.t, done, err == nil, "%v", err)
	if done {
		v.given += points
	}
	v.settle()
}

func (v *visitors) wish() {
	reward := rapid.SampledFrom([]string{"treat", "feast", "treat"}).Draw(v.t, "reward")
	v.seq++
	request := fmt.Sprint("wish", v.seq)
	r, err := v.Dispatch.RequestRedemption(v.ctx, v.ids[v.who()], reward, request)
	require.NoError(v.t, err)
	again, err := v.Dispatch.RequestRedemption(v.ctx, v.ids[0], reward, request)
	require.NoError(v.t, err)
	require.Equal(v.t, r.ID, again.ID, "one wish for one request")
	v.settle()
}

func (v *visitors) decide() {
	for _, r := range v.redemptions() {
		if r.EndedAt != nil || r.RunID == "" {
			continue
		}
		pending, err := v.Store.View(v.ctx).Approvals(punchcard.ApprovalPending, "", 1000)
		require.NoError(v.t, err)
		for _, a := range pending {
			if a.RunID != r.RunID {
				continue
			}
			_, err := v.Dispatch.Decide(v.ctx, a.ID, rapid.Bool().Draw(v.t, "yes"), "Mia", "")
			require.NoError(v.t, err)
			_, err = v.Dispatch.Decide(v.ctx, a.ID, true, "Mia", "")
			require.Equal(v.t, punchcard.CodeConflict, punchcard.CodeOf(err), "a question is answered once")
			v.settle()
			return
		}
	}
}

// capture uses a code, the whole, a part, or more than there is. What is left by all that was done decides whether it may.
func (v *visitors) capture() {
	grants := v.grants()
	g := grants[rapid.IntRange(0, len(grants)-1).Draw(v.t, "grant")]
	amount := punchcard.Amount(0)
	if rapid.Bool().Draw(v.t, "part") {
		amount = punchcard.Amount(rapid.Int64Range(1, 70).Draw(v.t, "amount") * 500)
	}
	v.uses(g, amount)
}

func (v *visitors) uses(g punchcard.Grant, amount punchcard.Amount) {
	code, err := v.Store.View(v.ctx).CodeOf(g.ID)
	require.NoError(v.t, err)
	left := v.left[g.ID]
	want := ""
	switch {
	case g.Status == punchcard.GrantReleased && g.Reason != punchcard.ReasonExpired:
		want = "released"
	case g.Status == punchcard.GrantCaptured && g.Reason != punchcard.ReasonExpired:
		want = "already_captured"
	case g.Expired(v.Clock.Now()):
		want = "expired"
	case amount > left:
		want = "amount_too_large"
	}
	v.seq++
	u := dispatch.Use{Code: code, Amount: amount.Float(), Request: fmt.Sprint("use", v.seq), Till: dispatch.Till{Device: "t1"}}
	done, err := v.Dispatch.Capture(v.ctx, u)
	require.Equal(v.t, want, punchcard.ReasonOf(err), "%v", err)
	if want != "" {
		return
	}
	require.NoError(v.t, err)
	again, err := v.Dispatch.Capture(v.ctx, u)
	require.NoError(v.t, err)
	require.Equal(v.t, done.Capture.ID, again.Capture.ID, "one use for one request")
	if amount == 0 {
		amount = left
	}
	require.Equal(v.t, amount, done.Capture.Amount)
	require.Equal(v.t, left-amount, done.Capture.LeftOver)
	v.left[g.ID] -= amount
	v.captures = append(v.captures, &use{id: done.Capture.ID, grant: g.ID, amount: amount, at: v.Clock.Now()})
	v.settle()
}

func (v *visitors) reverse() {
	if len(v.captures) == 0 {
		return
	}
	v.takesBack(v.captures[rapid.IntRange(0, len(v.captures)-1).Draw(v.t, "capture")])
}

func (v *visitors) takesBack(u *use) {
	g, err := v.Store.View(v.ctx).Grant(u.grant)
	require.NoError(v.t, err)
	want := ""
	switch {
	case u.back:
		want = "already_reversed"
	case g.Expired(v.Clock.Now()):
		want = "expired"
	case v.Clock.Now().Sub(u.at) >= 3*day:
		want = "too_late"
	}
	_, err = v.Dispatch.ReverseCapture(v.ctx, u.id, "Mia", "A test", "")
	require.Equal(v.t, want, punchcard.ReasonOf(err), "%v", err)
	if want != "" {
		return
	}
	require.NoError(v.t, err)
	u.back, v.reversed = true, u.grant
	v.left[u.grant] += u.amount
	v.settle()
}

func (v *visitors) cancel() {
	all := v.redemptions()
	if len(all) == 0 {
		return
	}
	r := all[rapid.IntRange(0, len(all)-1).Draw(v.t, "redemption")]
	_, err := v.Dispatch.CancelRedemption(v.ctx, r.ID)
	require.Equal(v.t, r.EndedAt == nil, err == nil, "%v", err)
	v.settle()
}

func (v *visitors) merge() {
	if v.merged {
		return
	}
	v.merged = true
	into := v.who()
	_, err := v.Dispatch.Merge(v.ctx, v.ids[1-into], v.ids[into])
	require.NoError(v.t, err)
	v.settle()
}

// pass lets time pass, and has the hourly job come that ends what expired.
func (v *visitors) pass(d time.Duration) {
	v.Clock.Advance(d)
	v.settle()
	for _, job := range v.Activities.Jobs() {
		if job.Name != activities.JobGrants {
			continue
		}
		for after, more := "", true; more; {
			done, err := job.Batch(v.ctx, after)
			require.NoError(v.t, err)
			require.Zero(v.t, done.Failed)
			v.settle()
			after, more = done.Next, done.Next != "" || done.Busy
		}
	}
	for _, g := range v.grants() {
		require.True(v.t, g.EndedAt != nil || !g.Expired(v.Clock.Now()), "what expired is over")
	}
}

// grants are those of both, oldest first.
func (v *visitors) grants() []punchcard.Grant {
	var all []punchcard.Grant
	for _, id := range v.live() {
		some, err := v.Store.View(v.ctx).Grants(id, "", 200)
		require.NoError(v.t, err)
		for i := range some {
			if some[i].Code != "" {
				all = append(all, some[len(some)-1-i])
			}
		}
	}
	return all
}

func (v *visitors) redemptions() []punchcard.Redemption {
	var all []punchcard.Redemption
	for _, id := range v.live() {
		some, err := v.Store.View(v.ctx).Redemptions("", id, "", 200)
		require.NoError(v.t, err)
		all = append(all, some...)
	}
	return all
}

// sound checks all that must hold of the two at any moment.
func (v *visitors) sound() {
	t, view := v.t, v.Store.View(v.ctx)
	ended := map[string]punchcard.Redemption{}
	for _, r := range v.redemptions() {
		if r.GrantID != "" {
			ended[r.GrantID] = r
		}
	}
	spent := int64(0)
	for _, id := range v.live() {
		held := int64(0)
		ledger, err := view.Ledger(id, 0, 1000)
		require.NoError(t, err)
		grants, err := view.Grants(id, "", 200)
		require.NoError(t, err)
		captured := 0
		for _, g := range grants {
			if g.Cost > 0 {
				if kind := v.hold(g, ledger); kind == punchcard.LedgerHold {
					held += g.Cost
				} else if kind == punchcard.LedgerCapture {
					spent += g.Cost
					captured++
				}
			}
			v.forward(g, ended[g.ID])
		}
		told, err := view.Total(id, punchcard.EventRedemptionCaptured, "", 0)
		require.NoError(t, err)
		require.Equal(t, captured, int(told), "each redemption's use is told once")

		p, err := view.PointsNow(id)
		require.NoError(t, err)
		require.Equal(t, held, p.Held, "what is held is what the open redemptions cost")
		v.account(id, p)
		v.statement(id, p)
	}
	total, earned := int64(0), int64(0)
	for _, id := range v.live() {
		p, err := view.PointsNow(id)
		require.NoError(t, err)
		total += p.Available + p.Pending + p.Held - p.Debt
		earned += p.Earned
	}
	require.Equal(t, earned+v.given-spent, total, "no point comes from nowhere, and none is lost")
}

// hold demands that the points for a grant were held once, and spent or given back once or not yet. It answers which.
func (v *visitors) hold(g punchcard.Grant, ledger []punchcard.LedgerEntry) punchcard.LedgerKind {
	sums := map[punchcard.LedgerKind]int64{}
	for _, e := range ledger {
		if e.Ref == g.ID {
			sums[e.Kind] += e.Points
		}
	}
	delete(sums, punchcard.LedgerRepay)
	state := punchcard.LedgerHold
	want := map[punchcard.LedgerKind]int64{punchcard.LedgerHold: g.Cost}
	if g.Status != punchcard.GrantHeld {
		state = punchcard.LedgerRelease
		if sums[punchcard.LedgerCapture] > 0 {
			state = punchcard.LedgerCapture
		}
		want[state] = g.Cost
	}
	require.Equal(v.t, want, sums, "the hold of %s, which is %s, ends once", g.Reward, g.Status)
	return state
}

// forward demands that a grant is used for no more than it is worth, as its captures say, and that what is over stays over.
func (v *visitors) forward(g punchcard.Grant, r punchcard.Redemption) {
	t := v.t
	captures, err := v.Store.View(v.ctx).Captures(g.ID)
	require.NoError(t, err)
	used := punchcard.Amount(0)
	for _, c := range captures {
		if c.Reverses != nil {
			used -= c.Amount
		} else {
			used += c.Amount
		}
		require.LessOrEqual(t, used, punchcard.AmountOf(g.Value))
		require.GreaterOrEqual(t, used, punchcard.Amount(0))
		require.Equal(t, punchcard.AmountOf(g.Value)-used, c.LeftOver)
	}
	require.Equal(t, used, g.Used)
	if _, known := v.left[g.ID]; !known {
		v.left[g.ID] = punchcard.AmountOf(g.Value)
	}
	require.Equal(t, v.left[g.ID], g.Left())
	if g.Status == punchcard.GrantReleased {
		require.Zero(t, g.Used, "what is used in part is not given back")
	}
	if g.Status == punchcard.GrantCaptured && g.Reason == "" {
		require.Zero(t, g.Left(), "what is used whole has nothing left")
	}
	open := g.Status == punchcard.GrantHeld || g.Status == punchcard.GrantGiven
	require.Equal(t, open, g.EndedAt == nil)
	require.Equal(t, g.Status == punchcard.GrantHeld, r.ID != "" && r.EndedAt == nil, "a redemption is open as long as its points are held")
	was, now := v.before[g.ID], seen{g.Status, r.Status, r.EndedAt != nil}
	v.before[g.ID] = now
	switch {
	case was.status == punchcard.GrantReleased:
		require.Equal(t, was, now, "what is over stays over")
	case was.status == punchcard.GrantCaptured && v.reversed != g.ID:
		require.Equal(t, was, now, "what is used stays used")
	case was.status == punchcard.GrantGiven:
		require.NotEqual(t, punchcard.GrantHeld, now.status)
	}
	if was.ended {
		require.Equal(t, was.redemption, now.redemption, "a redemption ends once")
	}
}

// account demands that the account, its lots and its holds say the same, and none is below zero.
func (v *visitors) account(id string, p store.PointsNow) {
	t := v.t
	for name, n := range map[string]int64{"available": p.Available, "pending": p.Pending, "held": p.Held, "debt": p.Debt, "earned": p.Earned} {
		require.GreaterOrEqual(t, n, int64(0), name)
	}
	require.True(t, p.Debt == 0 || p.Available == 0, "nobody has a balance and a debt")
	sum := func(query string) int64 {
		var n sql.NullInt64
		require.NoError(t, v.db.QueryRowContext(v.ctx, strings.ReplaceAll(query, "?", "'"+id+"'")).Scan(&n))
		return n.Int64
	}
	row, err := v.Store.View(v.ctx).Account(id)
	require.NoError(t, err)
	require.Equal(t, row.Available, sum("SELECT CAST(SUM(remaining) AS bigint) FROM points_lots WHERE customer_id = ? AND matured"), "lots that can be spent")
	require.Equal(t, row.Pending, sum("SELECT CAST(SUM(remaining) AS bigint) FROM points_lots WHERE customer_id = ? AND NOT matured"), "lots that cannot be spent yet")
	require.Equal(t, row.Held, sum("SELECT CAST(SUM(points) AS bigint) FROM points_holds WHERE customer_id = ? AND status = 'held'"), "holds")
	for name, n := range map[string]int64{"available": row.Available, "pending": row.Pending, "held": row.Held, "debt": -row.Debt} {
		require.Equal(t, n, sum(fmt.Sprintf(`SELECT CAST(SUM(CASE WHEN to_account = '%[1]s' THEN points WHEN from_account = '%[1]s' THEN -points ELSE 0 END) AS bigint)
			FROM ledger_entries WHERE customer_id = ?`, name)), "the ledger's %s", name)
	}
}

// statement demands that what the customer can read adds up, in words.
func (v *visitors) statement(id string, p store.PointsNow) {
	t, view := v.t, v.Store.View(context.Background())
	policy, err := v.Fence.Catalog.Current(v.ctx)
	require.NoError(t, err)
	c, err := view.Customer(id)
	require.NoError(t, err)
	s, err := fence.NewStatement(view, policy.Program, c, time.Time{}, v.Clock.Now().Add(time.Microsecond), store.Place{}, 1000)
	require.NoError(t, err)
	require.False(t, s.More)
	require.Equal(t, store.Sums{Available: p.Available, Pending: p.Pending, Held: p.Held, Debt: p.Debt}, s.Closing)
	balance := int64(0)
	for _, l := range s.Lines {
		balance += l.Points
		require.Equal(t, balance, l.Balance)
		require.GreaterOrEqual(t, balance, int64(0), l.Text)
		require.NotEmpty(t, l.Text)
		require.NotRegexp(t, `grt_|cus_|rdm_|evt_|[{}_]|%!|  | $`, l.Text)
	}
	require.Equal(t, p.Available, balance)
}
