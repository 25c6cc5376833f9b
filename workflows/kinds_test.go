package workflows

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"punchcard/rules"
)

var update = flag.Bool("update", false, "record the histories in testdata again")

// histories is where the recorded histories of this interpreter are. A new interpreter gets a folder of its own, and the old ones stay.
const histories = "testdata/histories/v1"

// recorded is a run that passes a node of a kind.
type recorded struct {
	kind    rules.Kind
	as      string // what the history is called, where the kind has several
	journey string
	plan    *rules.Plan
	armed   time.Duration
	ends    map[string]string
	answers map[string]rules.Result // the first answer of a node
	signals func(b *bundle)
	nodes   []string
}

// kinds has a run for every kind of node.
var kinds = []recorded{
	{
		kind: rules.KindSend, journey: "abandoned-cart", plan: cart(time.Hour, 23*time.Hour), armed: time.Hour,
		answers: map[string]rules.Result{"2": {Reply: rules.ReplyDeferred, Code: "quiet_hours", Wait: time.Hour}},
		ends:    map[string]string{"4": "lost"},
		nodes:   []string{"2", "2", "4"},
	},
	{
		kind: rules.KindSay, journey: "milestone", plan: cases(), ends: map[string]string{"1": rules.Case(0)},
		nodes: []string{"1", "1/case:0/1", "2"},
	},
	{
		kind: rules.KindAsk, journey: "opt-in", plan: optIn(time.Hour, forever), ends: map[string]string{"2": "subscribed"},
		signals: func(b *bundle) {
			b.reached("1/remind", 1)
			b.signal(wake(1, "1", "answer:yes"))
		},
		nodes: []string{"1", "1/remind", "1/yes/1", "1/yes/2", "2"},
	},
	{
		kind: rules.KindChoose, journey: "milestone", plan: cases(), ends: map[string]string{"1": rules.OutcomeOtherwise},
		nodes: []string{"1", "2"},
	},
	{
		kind: rules.KindReward, journey: "stamp-card", plan: stamps(), ends: map[string]string{"4": "filled"},
		answers: map[string]rules.Result{"2": {Reply: rules.ReplyStuck, Code: "pool_empty"}},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(stamp(1, "full"))
			b.reached("2", 1)
			b.signal(rules.Signal{N: 2, Kind: rules.SignalRetry})
		},
		nodes: []string{"1", "2", "2", "4"},
	},
	{
		kind: rules.KindRedeem, journey: "redemption", plan: redemption(forever, forever),
		ends: map[string]string{"1": rules.OutcomeRefused, "6": "refused"}, nodes: []string{"1", "6"},
	},
	{
		kind: rules.KindRelease, journey: "redemption", plan: redemption(time.Hour, forever), ends: map[string]string{"6": "unreviewed"},
		nodes: []string{"1", "2", "5", "6"},
	},
	{
		kind: rules.KindConsent, journey: "opt-in", plan: optIn(forever, forever), ends: map[string]string{"2": "subscribed"},
		answers: map[string]rules.Result{"1/yes/1": {Reply: rules.ReplyHeld}},
		signals: func(b *bundle) {
			b.reached("1", 1)
			b.signal(wake(1, "1", "answer:yes"))
			b.reached("1/yes/1", 1)
			b.signal(rules.Signal{N: 2, Kind: rules.SignalResume})
		},
		nodes: []string{"1", "1/yes/1", "1/yes/1", "1/yes/2", "2"},
	},
	{
		kind: rules.KindApprove, journey: "redemption", plan: redemption(forever, forever), ends: map[string]string{"2": rules.OutcomeSkipped, "4": "redeemed"},
		signals: func(b *bundle) {
			b.reached("2", 1)
			b.signal(wake(1, "3", "heard"))
		},
		nodes: []string{"1", "2", "4"},
	},
	{
		kind: rules.KindEnd, journey: "abandoned-cart", plan: cart(time.Hour, time.Hour), armed: time.Hour,
		answers: map[string]rules.Result{"4": {Reply: rules.ReplyNotDue, Wait: time.Hour}},
		ends:    map[string]string{"4": "lost"},
		nodes:   []string{"2", "4", "4"},
	},
	{
		kind: rules.KindWait, journey: "abandoned-cart", plan: cart(time.Hour, forever), armed: time.Hour,
		signals: func(b *bundle) {
			b.timers(2)
			b.signal(leave(1, "recovered"))
		},
		nodes: []string{"2"},
	},
	{
		kind: rules.KindAnswer, journey: "opt-in", plan: optIn(forever, forever), ends: map[string]string{"3": "declined"},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(wake(1, "1", "answer:no"))
		},
		nodes: []string{"1", "3"},
	},
	{
		kind: rules.KindDecision, journey: "redemption", plan: redemption(forever, forever), ends: map[string]string{"6": "rejected"},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(wake(1, "2", "rejected"))
		},
		nodes: []string{"1", "2", "5", "6"},
	},
	{
		kind: rules.KindWaitFor, journey: "redemption", plan: redemption(forever, forever), ends: map[string]string{"4": "redeemed"},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(wake(1, "2", "approved"))
			b.timers(2)
			b.signal(wake(2, "3", "heard"))
		},
		nodes: []string{"1", "2", "3", "4"},
	},
	{
		kind: rules.KindCollect, journey: "stamp-card", plan: stamps(), ends: map[string]string{"4": "filled"},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(stamp(2, "each"), stamp(1, "each"))
			b.reached("1/each/1", 2)
			b.signal(stamp(3, "full"))
		},
		nodes: []string{"1", "1/each/1", "1/each/1", "2", "4"},
	},
	{
		// again stands in the `other` of an ask: it says so and listens on.
		kind: rules.KindAgain, journey: "opt-in", plan: optIn(forever, forever), ends: map[string]string{"2": "subscribed"},
		signals: func(b *bundle) {
			b.timers(1)
			b.signal(wake(1, "1", "answer:other"))
			b.timers(2)
			b.signal(wake(2, "1", "answer:yes"))
		},
		nodes: []string{"1", "1/other/1", "1/yes/1", "1/yes/2", "2"},
	},
	{
		kind: rules.KindSplit, journey: "win-back", plan: split(), ends: map[string]string{"1": rules.Arm("a"), "2": "completed"},
		nodes: []string{"1", "1/a/1", "2"},
	},
	{
		kind: rules.KindCapture, journey: "delivery", plan: single(rules.KindCapture, "capture"), ends: map[string]string{"1": rules.OutcomeRefused},
		nodes: []string{"1", "2"},
	},
	{kind: rules.KindPoints, journey: "birthday", plan: single(rules.KindPoints, "points"), nodes: []string{"1", "2"}},
	{kind: rules.KindLabel, journey: "birthday", plan: single(rules.KindLabel, "label vip"), nodes: []string{"1", "2"}},
	{kind: rules.KindUnlabel, journey: "birthday", plan: single(rules.KindUnlabel, "unlabel vip"), nodes: []string{"1", "2"}},
	{kind: rules.KindSet, journey: "birthday", plan: single(rules.KindSet, "set favourite"), nodes: []string{"1", "2"}},
	{kind: rules.KindRaise, journey: "birthday", plan: single(rules.KindRaise, "raise order.reviewed"), nodes: []string{"1", "2"}},
	{kind: rules.KindStart, journey: "birthday", plan: single(rules.KindStart, "start win-back"), nodes: []string{"1", "2"}},
	{
		kind: rules.KindHandoff, journey: "support", plan: asks(), ends: map[string]string{"1": rules.OutcomeFailed},
		nodes: []string{"1", "1/on_failed/1", "2"},
	},
	{
		kind: rules.KindCall, journey: "support", plan: asks(), ends: map[string]string{"1": rules.OutcomeNext},
		nodes: []string{"1", "2"},
	},
	{
		kind: rules.KindWaitUntil, journey: "renewal", plan: until(),
		answers: map[string]rules.Result{"1": {Reply: rules.ReplyDone, Wait: 36 * time.Hour}},
		nodes:   []string{"1", "2"},
	},
	{
		// Whose code another system is asked for.
		kind: rules.KindReward, as: "reward-asks", journey: "film", plan: asking(rules.KindReward), ends: map[string]string{"1": rules.OutcomeNext},
		nodes: []string{"1", "2"},
	},
	{
		kind: rules.KindRedeem, as: "redeem-asks", journey: "film", plan: asking(rules.KindRedeem), ends: map[string]string{"1": rules.OutcomeRefused},
		answers: map[string]rules.Result{"1": {Reply: rules.ReplyHeld, Code: "paused"}},
		signals: func(b *bundle) {
			b.reached("1", 1)
			b.signal(rules.Signal{N: 1, Kind: rules.SignalResume})
		},
		nodes: []string{"1", "1", "3"},
	},
}

// called is what the run's history is called.
func (r recorded) called() string {
	if r.as != "" {
		return r.as
	}
	return string(r.kind)
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range kinds {
		t.Run(tt.called(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, house, tt.journey, tt.plan)
			b.start.Armed, b.start.First = tt.armed > 0, tt.armed
			b.ends = tt.ends
			for node, first := range tt.answers {
				b.once(node, first)
			}
			b.begin()
			if tt.signals != nil {
				tt.signals(b)
			}
			b.outcome()
			require.Equal(t, tt.nodes, b.nodes())
			if *update {
				record(t, b, tt.called())
			}
		})
	}
}

func record(t *testing.T, b *bundle, name string) {
	t.Helper()
	h := b.history("")
	for _, e := range h.GetEvents() {
		// A sticky queue is named after the machine.
		if q := e.GetWorkflowTaskScheduledEventAttributes().GetTaskQueue(); q.GetNormalName() != "" {
			q.Name = "sticky"
		}
	}
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(h)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(histories, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(histories, name+".json"), append(text, '\n'), 0o644))
}
