package simulate_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// The points of the pipeline at which a STOP arrives.
const (
	stopBefore   = iota // before the message is asked for
	stopDeferred        // WhatsApp has put the message off, and it waits to be asked for again
	stopInFlight        // between its record and WhatsApp's answer
	stopAfter           // after it was sent, before the next
	stopRacing          // whenever it comes
	stopPoints
)

const racers = 1000

// journal is a table of what was recorded in which order: its triggers run in the transactions that record, under the customer's
// lock.
var journal = map[store.Dialect][]string{
	store.SQLite: {
		"CREATE TABLE journal (seq integer PRIMARY KEY AUTOINCREMENT, customer_id text NOT NULL, what text NOT NULL)",
		`CREATE TRIGGER journal_new AFTER INSERT ON messages WHEN NEW.direction = 'out' AND NEW.topic <> '' AND NEW.status = 'sending'
			BEGIN INSERT INTO journal (customer_id, what) VALUES (NEW.customer_id, 'message'); END`,
		`CREATE TRIGGER journal_again AFTER UPDATE ON messages WHEN NEW.topic <> '' AND NEW.status = 'sending' AND OLD.status <> 'sending'
			BEGIN INSERT INTO journal (customer_id, what) VALUES (NEW.customer_id, 'message'); END`,
		`CREATE TRIGGER journal_stop AFTER INSERT ON consent_entries WHEN NEW.standing = 'revoked'
			BEGIN INSERT INTO journal (customer_id, what) VALUES (NEW.customer_id, 'stop'); END`,
	},
	store.Postgres: {
		"CREATE TABLE journal (seq bigserial PRIMARY KEY, customer_id text NOT NULL, what text NOT NULL)",
		`CREATE FUNCTION journal_write() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN INSERT INTO journal (customer_id, what) VALUES (NEW.customer_id, TG_ARGV[0]); RETURN NEW; END $$`,
		`CREATE TRIGGER journal_new AFTER INSERT ON messages FOR EACH ROW
			WHEN (NEW.direction = 'out' AND NEW.topic <> '' AND NEW.status = 'sending') EXECUTE FUNCTION journal_write('message')`,
		`CREATE TRIGGER journal_again AFTER UPDATE ON messages FOR EACH ROW
			WHEN (NEW.topic <> '' AND NEW.status = 'sending' AND OLD.status <> 'sending') EXECUTE FUNCTION journal_write('message')`,
		`CREATE TRIGGER journal_stop AFTER INSERT ON consent_entries FOR EACH ROW
			WHEN (NEW.standing = 'revoked') EXECUTE FUNCTION journal_write('stop')`,
	},
}

// deaf is an engine that runs nothing: the test drives the runs.
type deaf struct{}

func (deaf) Start(context.Context, rules.Start) error                   { return nil }
func (deaf) Signal(context.Context, string, string, rules.Signal) error { return nil }

// racer is one customer with a run that wants to send two messages.
type racer struct {
	phone, customer, run string
	point                int
	tries                atomic.Int64
}

// gatekeeper is a WhatsApp that puts a first message off, or lets a STOP come while it thinks.
type gatekeeper struct {
	byPhone map[string]*racer
	stop    func(*racer) error
}

func (g *gatekeeper) Send(_ context.Context, m whatsapp.Message) (whatsapp.Accepted, error) {
	r := g.byPhone[m.To]
	n := r.tries.Add(1)
	if n == 1 && r.point == stopDeferred {
		return whatsapp.Accepted{}, &whatsapp.Error{Code: 130429, Class: whatsapp.Retry}
	}
	if n == 1 && r.point == stopInFlight {
		if err := g.stop(r); err != nil {
			return whatsapp.Accepted{}, err
		}
	}
	return whatsapp.Accepted{ID: fmt.Sprintf("wamid.%s.%d", m.To, n)}, nil
}

// TestStopRace has 1,000 customers say STOP at every point of the pipeline. Whatever wins: nothing is recorded as on its way after
// the STOP was recorded.
func TestStopRace(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			raceStops(t, dialect)
		})
	}
}

func raceStops(t *testing.T, dialect store.Dialect) {
	t.Helper()
	ctx := t.Context()
	dsn := storetest.DSN(t, dialect)
	driver, address := "pgx", dsn
	if dialect == store.SQLite {
		driver, address = "sqlite", "file:"+dsn+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, address)
	require.NoError(t, err)
	for _, statement := range journal[dialect] {
		_, err := db.ExecContext(ctx, statement)
		require.NoError(t, err)
	}
	s := storetest.Open(t, dsn)
	s.UseClock(punchcard.NewManualClock(monday))
	f := fence.New(s)
	program, problems := rules.Load(tries(t, "journey: tried\ntopic: rewards\nenter: [{on: cart.emptied}]\nsteps:\n  - send: milestone_thanks\n  - send: milestone_thanks\n"))
	require.Empty(t, problems.Errors())
	_, _, err = f.Catalog.Publish(ctx, program)
	require.NoError(t, err)
	policy, err := f.Catalog.Current(ctx)
	require.NoError(t, err)
	d := dispatch.New(f, deaf{}, quiet)
	keeper := &gatekeeper{byPhone: map[string]*racer{}, stop: func(r *racer) error {
		_, _, err := d.Revoke(ctx, dispatch.Revocation{Customer: r.customer})
		return err
	}}
	acts := &activities.Activities{Fence: f, Sender: keeper, Log: quiet}
	all := enrollRacers(t, s, policy)
	for _, r := range all {
		keeper.byPhone[r.phone] = r
	}

	// Dispatch works meanwhile: half of the racing customers say STOP by a webhook, in batches as WhatsApp sends them.
	working, rest := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { _ = d.Run(working) })
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(16)
	g.Go(func() error {
		for i := stopRacing; i < racers; i += 10 * stopPoints {
			if err := d.Receive(ctx, stopWebhook(all, i)); err != nil {
				return err
			}
		}
		return nil
	})
	for i, r := range all {
		if r.point == stopRacing && i%2 == 1 {
			g.Go(func() error { return keeper.stop(r) })
		}
		g.Go(func() error { return driveRacer(ctx, acts, keeper, program, r) })
	}
	require.NoError(t, g.Wait())
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, db.QueryRowContext(ctx, "SELECT count(DISTINCT customer_id) FROM journal WHERE what = 'stop'").Scan(&n))
		return n == racers
	}, time.Minute, 20*time.Millisecond, "every STOP is recorded")
	// And nobody is written to now.
	for _, r := range all[:50] {
		require.NoError(t, driveRacer(ctx, acts, keeper, program, r))
	}
	rest()
	background.Wait()

	count := func(query string) (n int) {
		require.NoError(t, db.QueryRowContext(ctx, query).Scan(&n))
		return n
	}
	require.Zero(t, count(`SELECT count(*) FROM journal m WHERE m.what = 'message' AND m.seq >
		(SELECT min(s.seq) FROM journal s WHERE s.customer_id = m.customer_id AND s.what = 'stop')`), "messages recorded after the STOP was")
	require.Equal(t, racers, count("SELECT count(*) FROM runs WHERE journey = 'tried' AND (outcome = 'opted_out' OR outcome = 'completed')"))
	sent := count("SELECT count(*) FROM journal WHERE what = 'message'")
	require.GreaterOrEqual(t, sent, 3*racers/stopPoints, "those that were sent before")
	t.Logf("%d messages were recorded before %d STOPs, of which %d runs knew", sent, racers, count("SELECT count(*) FROM runs WHERE outcome = 'opted_out'"))
	require.NoError(t, db.Close())
}

// enrollRacers makes the customers, who have agreed, each with a run that is under way.
func enrollRacers(t *testing.T, s *store.Store, policy fence.Published) []*racer {
	t.Helper()
	all := make([]*racer, racers)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		for i := range all {
			r := &racer{phone: fmt.Sprintf("+4520%06d", i), point: i % stopPoints}
			c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: r.phone}}, punchcard.Customer{Country: "DK"})
			if err != nil {
				return err
			}
			err = tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: "rewards", Standing: punchcard.StandingGranted, Source: "form", OccurredAt: tx.Now.Add(-time.Hour)})
			if err != nil {
				return err
			}
			run, err := fence.Begin(tx, policy.Program, policy.Journeys["tried"], c, &punchcard.Run{
				Version: policy.Version, Entry: map[string]any{"cart_id": "c"}, EntryEvent: "cart.emptied",
			})
			if err != nil {
				return err
			}
			r.customer, r.run = c.ID, run.ID
			all[i] = r
		}
		return nil
	}))
	return all
}

// driveRacer moves a run as its workflow would, with a STOP at the racer's point.
func driveRacer(ctx context.Context, acts *activities.Activities, keeper *gatekeeper, program *rules.Program, r *racer) error {
	if r.point == stopBefore {
		if err := keeper.stop(r); err != nil {
			return err
		}
	}
	plan := program.Journeys["tried"].Plan
	cursor := rules.NewCursor(plan, false, 0)
	for step := 0; ; {
		m := cursor.Next()
		switch m.Kind {
		case rules.MoveDo:
			result, err := acts.Perform(ctx, plan.Nodes[m.Do.Node].Kind, activities.Input{Run: r.run, Effect: m.Do})
			if err != nil {
				return err
			}
			if result.Reply == rules.ReplyHearFirst {
				return nil // the workflow would wait for the signal, which says that the run is over
			}
			cursor.Done(result)
			if step++; step == 1 && r.point == stopAfter {
				if err := keeper.stop(r); err != nil {
					return err
				}
			}
		case rules.MoveWait:
			if r.point == stopDeferred {
				if err := keeper.stop(r); err != nil {
					return err
				}
			}
			cursor.Elapsed()
		default:
			return nil
		}
	}
}

// stopWebhook is a webhook in which the racing customers of a stretch say STOP.
func stopWebhook(all []*racer, from int) []byte {
	var messages []any
	for i := from; i < min(from+10*stopPoints, len(all)); i += stopPoints {
		if i%2 == 0 {
			messages = append(messages, map[string]any{
				"id": fmt.Sprintf("wamid.stop.%d", i), "from": strings.TrimPrefix(all[i].phone, "+"), "timestamp": "1749416383",
				"type": "text", "text": map[string]any{"body": "Stop!"},
			})
		}
	}
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "1", "changes": []any{
		map[string]any{"field": "messages", "value": map[string]any{"messaging_product": "whatsapp", "messages": messages}},
	}}}})
	if err != nil {
		panic(err) // it is made of strings
	}
	return body
}
