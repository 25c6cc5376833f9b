package activities

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// Pacer gives each message its turn to be sent, so that no number sends faster than WhatsApp takes. Turns are of real time,
// whatever the business's clock does.
type Pacer interface {
	// Turn books the next turn, or answers one whose Wait says how long to stay away because none is near.
	Turn(ctx context.Context, marketing bool) (*Turn, error)
	// Refused tells that WhatsApp said too many, of the number or the account: all who share that slow down.
	Refused(ctx context.Context, e *whatsapp.Error) error
}

// Rate is how fast a number may send.
type Rate struct {
	PerSecond int    // messages a second of all kinds, from 1 to 1,000
	Marketing int    // the part of them that marketing may be, in percent, from 1 to 100
	Number    string // whose rate it is: the id of the business's number
	Account   string // the id of its account, whose limits several numbers share
}

// Check answers what is wrong with a rate.
func (r Rate) Check() error {
	switch {
	case r.PerSecond < 1 || r.PerSecond > 1000:
		return fmt.Errorf("a number sends from 1 to 1,000 messages a second")
	case r.Marketing < 1 || r.Marketing > 100:
		return fmt.Errorf("marketing's part is from 1 to 100 percent")
	}
	return nil
}

const (
	// ahead is how far ahead turns are given. What would have to wait longer comes back later, so that its run can be left and the
	// gate looks again. It is less than a second by as much as a worker may need to say that a call is late: until then nobody
	// has the next turn of its lane.
	ahead = 600 * time.Millisecond
	// early is how long before its place in the line a message is told to come back, so that none is late for it.
	early = 400 * time.Millisecond
	// slack is how much later than its turn a call may start. The lane is free a second and slack after the turn.
	slack = 6 * time.Millisecond
	// latest is from when a call counts as late. It leaves a little of slack for what workers know wrongly of the database's clock,
	// and for what passes between the look at the clock and the call.
	latest = 3 * time.Millisecond
	// batchOfTurns is how many turns one transaction takes at most.
	batchOfTurns = 64
	// recovery is after how long without another refusal a slowed rate doubles again.
	recovery = 15 * time.Second
	// slowest is how often the rate is halved at most.
	slowest = 3
	// sameRefusal is how long refusals count as one: calls that were under way together are refused together.
	sameRefusal = time.Second
	// longPause is from when WhatsApp's own word for how long to wait is taken as a pause and not as a reason to slow down.
	longPause = 30 * time.Second
)

// Turn is a moment at which one message may be sent.
type Turn struct {
	// Wait is how long to stay away, in real time; positive when there is no turn within reach.
	Wait time.Duration

	at       time.Time // by this machine's clock
	lane     int
	free     int64     // from when the lane is free after this turn, in the database's time
	prepared time.Time // when Prepare was over
	began    time.Time // when the call was found to be in time: what passes between this look and the call is not seen
	asked    asked
	pacer    *Rates
}

// Prepare waits until it is time to begin what goes before the call: the gate, and the record's transaction. How long that takes
// is learned, so that it happens as late as it can.
func (t *Turn) Prepare(ctx context.Context) error {
	err := sleepUntil(ctx, t.at.Add(-t.pacer.preparing()))
	t.prepared = time.Now()
	return err
}

// Call waits until the call may be made, now. Where the turn was missed it is moved, or another is taken. It answers false when none
// is within reach: then Wait says how long to stay away.
func (t *Turn) Call(ctx context.Context) (bool, error) {
	t.pacer.learn(time.Since(t.prepared))
	for {
		if err := sleepUntil(ctx, t.at); err != nil {
			return false, err
		}
		if t.began = time.Now(); t.began.Sub(t.at) <= latest {
			return true, nil
		}
		moved, err := t.pacer.move(ctx, t)
		if err != nil {
			return false, err
		}
		if moved {
			continue
		}
		again, err := t.pacer.ask(ctx, asked{marketing: t.asked.marketing, lead: toWake})
		if err != nil {
			return false, err
		}
		if *t = *again; t.Wait > 0 {
			return false, nil
		}
	}
}

// toWake is how long a machine takes from the answer of the database to the call.
const toWake = 4 * time.Millisecond

func sleepUntil(ctx context.Context, at time.Time) error {
	pause := time.Until(at)
	if pause <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Rates is the Pacer of all workers on one database. A number that sends R messages a second has R lanes there, and through each
// goes one call a second: so no second holds more than R, wherever it begins. Turns are given one after the other, evenly. A call
// that is late says so before it is made, and delays nothing but the next turn of its lane.
//
// Some lanes are kept from marketing, spread evenly, so that a campaign which has taken all of its own delays nothing else.
// Two lines end where the last of those stands who were told to come back: they are told one after the other, and do not come
// all at once.
type Rates struct {
	store *store.Store
	rate  Rate

	mu        sync.Mutex
	marketing []*asked // they wait for a turn
	other     []*asked
	taking    bool
	clock     offset
	took      time.Duration // what a transaction before the call takes, and a little more
}

// asked is one who waits for a turn.
type asked struct {
	marketing bool
	lead      time.Duration // what goes before the call takes so long
	turn      *Turn
	err       error
	done      chan struct{}
}

// NewRates is a pacer over a database. The error says what is wrong with the rate.
func NewRates(s *store.Store, r Rate) (*Rates, error) {
	return &Rates{store: s, rate: r, took: 10 * time.Millisecond}, r.Check()
}

// Turn is of Pacer.
func (r *Rates) Turn(ctx context.Context, marketing bool) (*Turn, error) {
	return r.ask(ctx, asked{marketing: marketing, lead: r.preparing() + toWake})
}

// ask books a turn. Those who ask at the same time are served by one transaction.
func (r *Rates) ask(ctx context.Context, a asked) (*Turn, error) {
	a.done = make(chan struct{})
	r.mu.Lock()
	if a.marketing {
		r.marketing = append(r.marketing, &a)
	} else {
		r.other = append(r.other, &a)
	}
	first := !r.taking
	r.taking = true
	r.mu.Unlock()
	if first {
		go r.serve(context.WithoutCancel(ctx)) // it serves others too
	}
	select {
	case <-a.done:
		return a.turn, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// batch takes those who are served next: what is not marketing first.
func (r *Rates) batch() []*asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	var batch []*asked
	for _, queue := range []*[]*asked{&r.other, &r.marketing} {
		n := min(len(*queue), batchOfTurns-len(batch))
		batch = append(batch, (*queue)[:n]...)
		*queue = (*queue)[n:]
	}
	r.taking = len(batch) > 0
	return batch
}

// serveTimeout bounds one transaction that takes turns.
const serveTimeout = 5 * time.Second

func (r *Rates) serve(ctx context.Context) {
	for {
		batch := r.batch()
		if len(batch) == 0 {
			return
		}
		err := r.take(ctx, batch)
		for _, a := range batch {
			a.err = err
			close(a.done)
		}
	}
}

// take gives a batch its turns.
func (r *Rates) take(ctx context.Context, batch []*asked) error {
	ctx, cancel := context.WithTimeout(ctx, serveTimeout)
	defer cancel()
	var turns []given
	at, err := r.update(ctx, func(l *lanes) bool {
		turns = turns[:0]
		for _, a := range batch {
			turns = append(turns, l.next(a.marketing, a.lead.Microseconds()))
		}
		return true
	})
	if err != nil {
		return err
	}
	for i, a := range batch {
		g := turns[i]
		a.turn = &Turn{pacer: r, asked: asked{marketing: a.marketing}, lane: g.lane, free: g.free, at: at(g.at)}
		if g.away > 0 {
			a.turn.Wait = time.Duration(g.away) * time.Microsecond
		}
	}
	return nil
}

// move has a call that is late keep its lane, unless somebody has the lane's next turn already.
func (r *Rates) move(ctx context.Context, t *Turn) (bool, error) {
	var g given
	at, err := r.update(ctx, func(l *lanes) bool {
		g = given{}
		if t.lane >= len(l.free) || l.free[t.lane] != t.free {
			return false
		}
		g = l.give(t.lane, l.now+toWake.Microseconds())
		return true
	})
	if err != nil || g.free == 0 {
		return false, err
	}
	t.at, t.free = at(g.at), g.free
	return true, nil
}

// update runs fn over the number's lanes, and saves them where fn answers true. It answers how the database's times read on this
// machine.
func (r *Rates) update(ctx context.Context, fn func(*lanes) bool) (func(int64) time.Time, error) {
	var now int64
	var answered time.Time
	err := r.store.Update(ctx, func(tx *store.Tx) error {
		paused, err := tx.PausedUntil(accountLine(r.rate))
		if err != nil {
			return err
		}
		var row *store.SendRate
		if row, now, err = tx.LockRate(numberLine(r.rate)); err != nil {
			return err
		}
		answered = time.Now()
		row.Paused = max(row.Paused, paused)
		l := newLanes(row, r.rate, now)
		if !fn(l) {
			return nil
		}
		l.save()
		return tx.SaveRate(row)
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	offset := r.clock.learn(answered, now)
	r.mu.Unlock()
	return func(at int64) time.Time {
		return answered.Add(time.Duration(at+offset-local(answered)) * time.Microsecond)
	}, nil
}

// Refused is of Pacer.
func (r *Rates) Refused(ctx context.Context, e *whatsapp.Error) error {
	name, whole := numberLine(r.rate), e.Scope() == whatsapp.ScopeAccount
	if whole {
		name = accountLine(r.rate)
	}
	return r.store.Update(ctx, func(tx *store.Tx) error {
		row, now, err := tx.LockRate(name)
		if err != nil {
			return err
		}
		level := levelAt(row, now)
		switch {
		case e.RetryAfter >= longPause:
			row.Paused = max(row.Paused, now+e.RetryAfter.Microseconds())
			return tx.SaveRate(row)
		case row.LevelAt > 0 && now-row.LevelAt < sameRefusal.Microseconds():
			return nil
		}
		row.Level, row.LevelAt = min(level+1, slowest), now
		if whole {
			// The account's own rate is nowhere told: all wait, and longer each time.
			row.Paused = max(row.Paused, now+(longPause<<level).Microseconds())
		}
		return tx.SaveRate(row)
	})
}

func numberLine(r Rate) string  { return "number/" + r.Number }
func accountLine(r Rate) string { return "account/" + r.Account }

func (r *Rates) preparing() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.took
}

// learn follows how long the transaction before a call takes: up at once, down slowly, at most as far as turns are given.
func (r *Rates) learn(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = min(max(took+took/4, r.took-r.took/32, 2*time.Millisecond), ahead/4)
}

// started is from when this process counts its own time.
var started = time.Now()

// local is a moment in microseconds of this process's own time: setting the machine's clock does not change it, so no turn is taken for
// early or late because of that.
func local(at time.Time) int64 { return at.Sub(started).Microseconds() }

// offset follows how far this machine's clock is ahead of the database's. What it learns from is late by the way from there to
// here, so the least of the last seconds is the nearest to the truth, and never too little: a turn is never early.
type offset struct {
	from         time.Time
	least, older int64
}

// offsetKept is how long what was learned is kept: clocks drift by less than a millisecond meanwhile.
const offsetKept = 5 * time.Second

func (o *offset) learn(answered time.Time, now int64) int64 {
	ahead := local(answered) - now
	switch {
	case o.from.IsZero():
		o.from, o.least, o.older = answered, ahead, ahead
	case answered.Sub(o.from) > 2*offsetKept:
		o.from, o.least, o.older = answered, ahead, ahead
	case answered.Sub(o.from) > offsetKept:
		o.from, o.least, o.older = answered, ahead, o.least
	default:
		o.least = min(o.least, ahead)
	}
	return min(o.least, o.older)
}

// lanes are a row that is locked.
type lanes struct {
	*store.SendRate

	now    int64
	free   []int64
	period int64 // how long a lane is taken by a turn
	kept   int   // of 100 lanes, those that are kept from marketing
}

// given is a turn, or how long to stay away for want of one; in microseconds.
type given struct {
	lane     int
	at, free int64
	away     int64
}

func newLanes(row *store.SendRate, r Rate, now int64) *lanes {
	l := &lanes{SendRate: row, now: now, kept: 100 - r.Marketing}
	l.period = time.Second.Microseconds()<<levelAt(row, now) + slack.Microseconds()
	for b := row.Lanes; len(b) >= 8; b = b[8:] {
		// Nothing is taken for longer: where it seems so, the database's clock was set back.
		l.free = append(l.free, min(int64(binary.BigEndian.Uint64(b)), now+longest)) //nolint:gosec // it was one
	}
	row.Turn, row.KeptTurn = min(row.Turn, now+ahead.Microseconds()), min(row.KeptTurn, now+ahead.Microseconds())
	if more := len(l.free) - r.PerSecond; more > 0 {
		// Of fewer lanes than before, those that are free last: what has gone out counts for its second.
		slices.Sort(l.free)
		l.free = l.free[more:]
	}
	for len(l.free) < r.PerSecond {
		l.free = append(l.free, now)
	}
	return l
}

func (l *lanes) save() {
	l.Lanes = l.Lanes[:0]
	for _, f := range l.free {
		l.Lanes = binary.BigEndian.AppendUint64(l.Lanes, uint64(f)) //nolint:gosec // it is read back as it was
	}
}

// longest is how long a lane can be taken at most, in microseconds.
const longest = int64((time.Second<<slowest + slack + 2*ahead) / time.Microsecond)

// levelAt is how often the rate is halved now.
func levelAt(row *store.SendRate, now int64) int {
	return max(0, row.Level-int(max(0, now-row.LevelAt)/recovery.Microseconds()))
}

// next gives the next turn that is at least lead away.
func (l *lanes) next(marketing bool, lead int64) given {
	best := -1
	for i, f := range l.free {
		if (!marketing || !l.keeps(i)) && (best < 0 || f < l.free[best]) {
			best = i
		}
	}
	open := int64(len(l.free))
	place, latest := &l.KeptLine, &l.KeptTurn
	if marketing {
		open, place, latest = open-open*int64(l.kept)/100, &l.Line, &l.Turn
	}
	at := max(l.free[best], l.now+lead, l.Paused)
	if reach := l.now + ahead.Microseconds(); at > reach {
		*place = max(*place, at) + l.period/max(open, 1)
		return given{away: *place - early.Microseconds() - l.now}
	}
	// After a pause all lanes are free: they are not all used at once. What is behind catches up by a tenth.
	at = max(at, *latest+l.period*9/10/int64(len(l.free)))
	*latest = at
	return l.give(best, at)
}

// give has a lane taken by a turn.
func (l *lanes) give(lane int, at int64) given {
	l.free[lane] = at + l.period
	return given{lane: lane, at: at, free: l.free[lane]}
}

// keeps tells whether a lane is kept from marketing.
func (l *lanes) keeps(lane int) bool { return (lane+1)*l.kept/100 != lane*l.kept/100 }
