package workflows

import (
	"time"

	"punchcard/rules"
)

// Nodes for plans written by hand.

func effect(kind rules.Kind, label string, next ...string) rules.Node {
	return rules.Node{Kind: kind, Label: label, Next: edges(next)}
}

func wait(kind rules.Kind, label, scope string, d time.Duration, next ...string) rules.Node {
	return rules.Node{Kind: kind, Label: label, Scope: scope, For: d, Next: edges(next)}
}

func end() rules.Node { return rules.Node{Kind: rules.KindEnd, Label: "end"} }

// edges reads outcome, node, outcome, node.
func edges(pairs []string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// cart is a wait that is armed at the start, a message, and a wait that the message arms.
func cart(first, second time.Duration) *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1": wait(rules.KindWait, "wait 1h", "1", first, "elapsed", "2"),
		"2": effect(rules.KindSend, "send cart_reminder", "next", "3"),
		"3": wait(rules.KindWait, "wait 23h", "3", second, "elapsed", "4"),
		"4": end(),
	}}
}

// optIn is an ask with a reminder, whose `other` answer comes back once.
func optIn(remind, timeout time.Duration) *rules.Plan {
	answer := func(for_ time.Duration, elapsed string) rules.Node {
		n := wait(rules.KindAnswer, "answer to opt_in", "1", for_,
			rules.Answer("yes"), "1/yes/1", rules.Answer("no"), "3", rules.Answer("other"), "1/other/1", "elapsed", elapsed)
		n.Returns = map[string]int{rules.Answer("other"): 1}
		return n
	}
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":         effect(rules.KindAsk, "ask opt_in", "next", "1/wait", "not_sent", "3"),
		"1/wait":    answer(remind, "1/remind"),
		"1/remind":  effect(rules.KindSend, "remind opt_in", "next", "1/again"),
		"1/again":   answer(timeout, "2"),
		"1/other/1": effect(rules.KindSay, "say", "next", "1/other/2"),
		"1/other/2": {Kind: rules.KindAgain, Label: "again", Next: map[string]string{"next": "1/again"}},
		"1/yes/1":   effect(rules.KindConsent, "consent grant", "next", "1/yes/2"),
		"1/yes/2":   effect(rules.KindReward, "reward welcome-10", "next", "2"),
		"2":         end(),
		"3":         end(),
	}}
}

// stamps collects: each but the last is answered with a message.
func stamps() *rules.Plan {
	n := wait(rules.KindCollect, "collect order.placed", "1", forever, "each", "1/each/1", "full", "2", "elapsed", "3")
	n.Returns = map[string]int{"each": 0}
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":        n,
		"1/each/1": effect(rules.KindSend, "send stamp", "next", "1"),
		"2":        effect(rules.KindReward, "reward bonus-100", "next", "4"),
		"3":        end(),
		"4":        end(),
	}}
}

// redemption holds, asks a person, and waits for the till.
func redemption(review, till time.Duration) *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":      effect(rules.KindRedeem, "redeem", "next", "2", "refused", "6"),
		"2":      effect(rules.KindApprove, "approve", "next", "2/wait", "skipped", "3"),
		"2/wait": wait(rules.KindDecision, "decision", "2", review, "approved", "3", "rejected", "5", "elapsed", "5"),
		"3":      wait(rules.KindWaitFor, "wait_for redemption.captured", "3", till, "heard", "4", "elapsed", "5"),
		"4":      end(),
		"5":      effect(rules.KindRelease, "release held", "next", "6"),
		"6":      end(),
	}}
}

// cases chooses.
func cases() *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":          effect(rules.KindChoose, "choose", rules.Case(0), "1/case:0/1", "otherwise", "2"),
		"1/case:0/1": effect(rules.KindSay, "say", "next", "2"),
		"2":          end(),
	}}
}

// single is one effect, and the end.
func single(kind rules.Kind, label string) *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1": effect(kind, label, "next", "2"),
		"2": end(),
	}}
}

// asking is a reward whose code another system is asked for.
func asking(kind rules.Kind) *rules.Plan {
	n := effect(kind, string(kind)+" film", "next", "2", "refused", "3")
	n.Asks = true
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{"1": n, "2": end(), "3": end()}}
}

// split is two arms, one of them a wait, and a holdout.
func split() *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":         effect(rules.KindSplit, "split", rules.Arm("a"), "1/a/1", rules.Arm("b"), "2", rules.OutcomeHoldout, "1/holdout"),
		"1/a/1":     effect(rules.KindLabel, "label trying-a", "next", "2"),
		"1/holdout": end(),
		"2":         end(),
	}}
}

// until is a wait for a moment, which no effect before it has armed.
func until() *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1": wait(rules.KindWaitUntil, "wait_until 10:00", "1", 0, "elapsed", "2"),
		"2": end(),
	}}
}

// asks asks another system, and goes another way where that failed.
func asks() *rules.Plan {
	return &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1":             effect(rules.KindCall, "call crm.profile", "next", "2", rules.OutcomeFailed, "1/on_failed/1"),
		"1/on_failed/1": effect(rules.KindHandoff, "handoff", "next", "2"),
		"2":             end(),
	}}
}
