package activities

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// Job is work on many customers that comes round by itself. A line in Jobs is all that a new one needs.
type Job struct {
	Name string
	// Every is how often it comes round, in the business's time.
	Every time.Duration
	// Pause is the real time between two batches, for work that others' systems bear.
	Pause time.Duration
	// Batch does the next few and answers where the one after it goes on. It begins where after says: "" is the beginning.
	// It may be asked for the same twice. Its transactions are short, and keep nobody waiting.
	Batch func(ctx context.Context, after string) (Batch, error)
}

// Batch is what one batch of a job came to.
type Batch struct {
	Next   string // where the next one goes on; "": there is no more
	Done   int    // how many were worked on
	Failed int    // how many of them could not be; the log says why, and the job's next round tries again
	// Of is about how many there are to do in the whole round, where the round begins with this batch and that is known.
	Of int64
	// Busy says that nothing was done, because what was raised already waits to be routed: ask again in a while.
	Busy bool
}

// Workflows tells what Temporal knows of runs.
type Workflows interface {
	// Missing are the ids of those of the runs whose workflow is not under way.
	Missing(ctx context.Context, runs []punchcard.Run) ([]string, error)
}

// Jobs is the table of all jobs.
func (a *Activities) Jobs() []Job {
	jobs := []Job{
		{Name: JobPoints, Every: time.Hour, Batch: a.pointsBatch},
		{Name: JobHygiene, Every: 24 * time.Hour, Batch: a.hygieneRound},
		{Name: JobHooks, Every: 24 * time.Hour, Pause: hooksPause, Batch: a.hooksBatch},
		{Name: JobGrants, Every: time.Hour, Batch: a.grantsBatch},
	}
	if a.Workflows != nil {
		jobs = append(jobs, Job{Name: JobReconcile, Every: 24 * time.Hour, Pause: reconcilePause, Batch: a.reconcileBatch})
	}
	return jobs
}

// The jobs.
const (
	JobPoints    = "points"    // points mature and expire, tiers fall
	JobGrants    = "grants"    // rewards that are not used in their time end, and what is held for them
	JobReconcile = "reconcile" // runs whose workflow is gone end
	JobHooks     = "hooks"     // what hooks were told long ago is forgotten
)

const (
	// PointsBatch is how many customers one transaction passes time for: some hundredths of a second.
	PointsBatch = 100
	// maxQueued is how many customers with events to route a job that raises events adds to at most.
	maxQueued = 500
	// settingTiers keeps the tiers by which every account was reckoned last.
	settingTiers = "tiers"

	cursorAll = "all/"
	cursorDue = "due/"
)

// pointsBatch does what time does to a few customers: those to whose account something is due, or, after the program's tiers have
// changed, all who have one, in the order of their ids.
func (a *Activities) pointsBatch(ctx context.Context, after string) (Batch, error) {
	policy, err := a.Fence.Catalog.Current(ctx)
	if err != nil {
		if punchcard.CodeOf(err) == punchcard.CodeUnavailable {
			return Batch{}, nil // nothing is published yet
		}
		return Batch{}, err
	}
	tiers := fmt.Sprintf("%+v", policy.Tiers)
	if policy.Tiers != nil {
		tiers = fmt.Sprintf("%+v", *policy.Tiers)
	}
	view := a.Fence.Store.View(ctx)
	var of int64
	if after == "" {
		after = cursorDue
		known, err := view.Setting(settingTiers)
		if err != nil {
			return Batch{}, err
		}
		counted := view.CountDue
		if known != tiers {
			after, counted = cursorAll, view.CountAccounts
		}
		if of, err = counted(); err != nil {
			return Batch{}, err
		}
	}
	busy, err := view.Busy(maxQueued)
	if err != nil || busy {
		return Batch{Next: after, Of: of, Busy: true}, err
	}
	if id, all := strings.CutPrefix(after, cursorAll); all {
		ids, err := view.Accounts(id, PointsBatch)
		if err != nil {
			return Batch{}, err
		}
		b, err := a.passTime(ctx, policy, ids)
		if err != nil {
			return b, err
		}
		b.Of = of
		if len(ids) == PointsBatch {
			b.Next = cursorAll + ids[len(ids)-1]
			return b, nil
		}
		b.Next = cursorDue
		return b, a.Fence.Store.Update(ctx, func(tx *store.Tx) error { return tx.SetSetting(settingTiers, tiers) })
	}
	from, err := dueAfter(strings.TrimPrefix(after, cursorDue))
	if err != nil {
		return Batch{}, err
	}
	due, err := view.DueAccounts(from, PointsBatch)
	if err != nil {
		return Batch{}, err
	}
	ids := make([]string, len(due))
	for i, d := range due {
		ids[i] = d.CustomerID
	}
	b, err := a.passTime(ctx, policy, ids)
	b.Of = of
	if len(due) == PointsBatch {
		last := due[len(due)-1]
		b.Next = fmt.Sprintf("%s%d/%s", cursorDue, last.DueAt.UnixMicro(), last.CustomerID)
	}
	return b, err
}

// dueAfter reads a place in the list of due accounts.
func dueAfter(cursor string) (store.DueAccount, error) {
	if cursor == "" {
		return store.DueAccount{}, nil
	}
	at, id, ok := strings.Cut(cursor, "/")
	micros, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		return store.DueAccount{}, fmt.Errorf("%q is no place in the list of due accounts", cursor)
	}
	return store.DueAccount{CustomerID: id, DueAt: time.UnixMicro(micros).UTC()}, nil
}

// listening keeps for a while which events anything listens to: it takes a look at all open runs to know.
type listening struct {
	mu      sync.Mutex
	version int
	at      time.Time
	listens func(event string) bool
}

// listeningFor is how long, in real time.
const listeningFor = time.Minute

func (l *listening) to(ctx context.Context, f *fence.Fence, version int) (func(event string) bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listens != nil && l.version == version && time.Since(l.at) < listeningFor {
		return l.listens, nil
	}
	listens, err := f.Listens(ctx)
	if err != nil {
		return nil, err
	}
	l.listens, l.version, l.at = listens, version, time.Now()
	return listens, nil
}

// passTime does what time does to customers. One who cannot be done is left out.
func (a *Activities) passTime(ctx context.Context, policy fence.Published, ids []string) (Batch, error) {
	b := Batch{Done: len(ids)}
	if len(ids) == 0 {
		return b, nil
	}
	listens, err := a.listening.to(ctx, a.Fence, policy.Version)
	if err != nil {
		return Batch{}, err
	}
	tasks := make([]task, len(ids))
	for i, id := range ids {
		tasks[i].customer = id
	}
	failed, err := a.together(ctx, tasks, func(tx *store.Tx, customers []punchcard.Customer, _ []task) error {
		return fence.PassTime(tx, policy.Program, customers, listens)
	})
	if err != nil {
		return Batch{}, err
	}
	for t, err := range failed {
		b.Failed++
		a.Log.ErrorContext(ctx, "what time does to a customer's points could not be done; it is tried again at the job's next round", "customer", t.customer, "error", err)
	}
	return b, nil
}

// task is something that a job does to a customer; id says what, where there can be several.
type task struct{ customer, id string }

// together does tasks: those of customers who are free in one transaction, so that a commit is not paid for each, and the others one by
// one, so that nobody waits for a lock while others wait for theirs. One that cannot be done spoils no other: all are then done one by
// one, and failed says which could not. do finds the customers locked, and none of them merged into another.
func (a *Activities) together(ctx context.Context, tasks []task, do func(tx *store.Tx, customers []punchcard.Customer, tasks []task) error) (failed map[task]error, err error) {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.customer
	}
	done := map[string]bool{}
	err = a.Fence.Store.Update(ctx, func(tx *store.Tx) error {
		clear(done)
		free, err := tx.LockFree(ids)
		if err != nil {
			return err
		}
		free = slices.DeleteFunc(free, func(c punchcard.Customer) bool { return c.MergedInto != nil }) // who they are now is locked below
		if len(free) == 0 {
			return nil
		}
		for i := range free {
			done[free[i].ID] = true
		}
		return do(tx, free, slices.DeleteFunc(slices.Clone(tasks), func(t task) bool { return !done[t.customer] }))
	})
	if store.IsOutage(err) {
		return nil, err
	}
	if err != nil {
		clear(done) // one of them spoilt it for all
	}
	failed = map[task]error{}
	for _, t := range tasks {
		if done[t.customer] {
			continue
		}
		err := a.Fence.Store.Update(ctx, func(tx *store.Tx) error {
			c, err := tx.LockCustomer(t.customer)
			if err != nil {
				return err
			}
			return do(tx, []punchcard.Customer{*c}, []task{t})
		})
		if store.IsOutage(err) {
			return nil, err
		}
		if err != nil {
			failed[t] = err
		}
	}
	return failed, nil
}

const (
	// reconcileBatch is how many runs one question to Temporal is about.
	reconcileBatch = 100
	// reconcilePause keeps the questions to a few each second: Temporal's visibility takes some tens for all who ask.
	reconcilePause = 250 * time.Millisecond
	// reconcileAfter is how long a run must have been as it is, in the business's time: what is new may not be known everywhere yet.
	reconcileAfter = time.Hour
)

// reconcileBatch ends those of a few runs, in the order of their ids, whose workflow is gone: terminated by hand, or lost with
// Temporal's data. Their holds are released.
func (a *Activities) reconcileBatch(ctx context.Context, after string) (Batch, error) {
	view := a.Fence.Store.View(ctx)
	runs, err := view.QuietRuns(after, view.Now.Add(-reconcileAfter), reconcileBatch)
	if err != nil || len(runs) == 0 {
		return Batch{}, err
	}
	b := Batch{Done: len(runs)}
	if len(runs) == reconcileBatch {
		b.Next = runs[len(runs)-1].ID
	}
	missing, err := a.Workflows.Missing(ctx, runs)
	if err != nil {
		return Batch{}, fmt.Errorf("ask Temporal of runs: %w", err)
	}
	for _, id := range missing {
		closed, err := a.Fence.CloseGone(ctx, id, true)
		switch {
		case store.IsOutage(err):
			return Batch{}, err
		case err != nil:
			b.Failed++
			a.Log.ErrorContext(ctx, "a run whose workflow is gone could not be closed", "run", id, "error", err)
		case closed:
			a.Log.WarnContext(ctx, "a run's workflow is gone; the run is closed", "run", id)
		}
	}
	return b, nil
}

const (
	// hooksKept is for how long what hooks were told is kept, to be replayed.
	hooksKept = 30 * 24 * time.Hour
	// hooksBatch is how many events one transaction removes, and hooksPause how long others have the database between two.
	hooksBatch = 1000
	hooksPause = 100 * time.Millisecond
)

// hooksBatch forgets some of what hooks were told long ago.
func (a *Activities) hooksBatch(ctx context.Context, _ string) (Batch, error) {
	var n int64
	err := a.Fence.Store.Update(ctx, func(tx *store.Tx) (err error) {
		n, err = tx.PruneHooks(tx.Now.Add(-hooksKept), hooksBatch)
		return err
	})
	b := Batch{Done: int(n)}
	if n == hooksBatch {
		b.Next = "more"
	}
	return b, err
}
