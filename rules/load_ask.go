package rules

import (
	"maps"
	"slices"
	"time"
)

// AnswerOther is the answer that stands for whatever is no other.
const AnswerOther = "other"

// ask compiles a question: the message, the wait for its answer, and, with a reminder, the same wait once more after it.
func (x *journeyCheck) ask(n, value *node, id, next string, f frame) (falls bool) {
	template, params := x.message(n, value, f)
	timeoutNode := n.get("timeout")
	timeout := x.duration(timeoutNode)

	first := id + "/answer"
	wait := Node{Kind: KindAnswer, Label: "answer to " + template, For: timeout, Scope: id, Next: map[string]string{}}
	late, lateFalls := x.optionalBranch(n, "on_timeout", id, next, f)
	falls = lateFalls || n.get("if") != nil

	rules, answersFall := x.answers(n, value, &wait, first, id+"/", next, f)
	falls = falls || answersFall
	wait.Next[OutcomeElapsed] = late

	if remind := n.get("remind"); remind != nil && x.open(remind, remindGrammar) {
		after := remind.get("after")
		wait.For = x.duration(after)
		if timeoutNode != nil && after != nil && wait.For >= timeout && timeout > 0 {
			x.at(after, "the reminder comes before the timeout: %s is not less than %s", formatDuration(wait.For), formatDuration(timeout))
		}
		reminder, reminderParams := x.message(remind, remind.get("send"), f)
		second := id + "/answer2"
		x.put(remind, id+"/remind", Node{Kind: KindSend, Label: "send " + reminder, Next: to(OutcomeNext, second)}, &Step{
			Template: reminder, With: reminderParams,
			NotNow: NotNowWait, Within: max(timeout-wait.For, time.Minute), // it waits no longer than the question stands
		})
		wait.Next[OutcomeElapsed] = id + "/remind"
		again := Node{Kind: KindAnswer, Label: wait.Label, For: timeout, Scope: id, Next: maps.Clone(wait.Next)}
		again.Next[OutcomeElapsed] = late
		x.returning(n, &again, wait.Returns, second, next, f)
		x.put(n, second, again, &Step{Answers: rules})
	}
	x.put(n, first, wait, &Step{Answers: rules})

	edges := map[string]string{OutcomeSent: first}
	if n.get("on_not_sent") != nil {
		entry, notSentFalls := x.optionalBranch(n, "on_not_sent", id, next, f)
		edges[OutcomeNotSent] = entry
		falls = falls || notSentFalls
	} else {
		edges[OutcomeNotSent] = id + "/unreachable"
		x.put(n, id+"/unreachable", Node{Kind: KindEnd, Label: "end unreachable"}, &Step{Outcome: "unreachable"})
	}
	if n.get("if") != nil {
		edges[OutcomeSkipped] = next
	}
	step := &Step{If: x.guard(n, f), Template: template, With: params}
	x.notNow(n, id, edges, step)
	x.put(n, id, Node{Kind: KindAsk, Label: "ask " + template, Next: edges}, step)
	return falls
}

// returning compiles, for the wait after the reminder, the answers that come back: each of the two waits has its own, so that
// such an answer before the reminder does not cancel it, and one after it does not repeat it. Every other answer leads where
// it leads from the first wait.
func (x *journeyCheck) returning(n *node, wait *Node, returns map[string]int, id, next string, f frame) {
	answers := n.get("answers")
	if answers == nil {
		return
	}
	for _, a := range answers.pairs {
		outcome := Answer(a.key.value)
		count, ok := returns[outcome]
		if !ok {
			continue
		}
		prefix, inner := id+"/"+a.key.value+"/", f.inner()
		inner.returns, inner.again = "ask", &againFrame{to: id}
		x.branch(a.value, prefix, next, inner)
		if wait.Returns == nil {
			wait.Returns = map[string]int{}
		}
		wait.Returns[outcome] = count
		wait.Next[outcome] = x.begins(a.value, prefix, next)
	}
}

// answers compiles what each answer leads to.
func (x *journeyCheck) answers(n, value *node, wait *Node, waitID, prefix, next string, f frame) (rules []AnswerRule, falls bool) {
	answers := n.get("answers")
	if answers == nil || !x.is(answers, mapping) {
		return nil, true
	}
	if len(answers.pairs) == 0 {
		x.at(answers, "at least one answer is expected")
	}
	names := append(x.keywordNames(), AnswerOther)
	for _, a := range answers.pairs {
		name := x.known(a.key, "keyword", names)
		if name == "" {
			continue
		}
		if name == "stop" {
			x.at(a.key, "STOP is always heard, and ends the run as opted_out: it cannot be an answer")
			continue
		}
		rules = append(rules, AnswerRule{Name: name})
		inner := f.inner()
		inner.again = &againFrame{to: waitID}
		if endsInAgain(a.value) {
			inner.returns = "ask"
		}
		branchFalls := x.branch(a.value, prefix+name+"/", next, inner)
		falls = falls || branchFalls
		wait.Next[Answer(name)] = x.begins(a.value, prefix+name+"/", next)
		if inner.again.count > 0 {
			if wait.Returns == nil {
				wait.Returns = map[string]int{}
			}
			wait.Returns[Answer(name)] = inner.again.count
		}
	}
	// Other is heard when nothing else is, wherever it stands in the text.
	slices.SortStableFunc(rules, func(a, b AnswerRule) int {
		switch {
		case a.Name == AnswerOther && b.Name != AnswerOther:
			return 1
		case b.Name == AnswerOther && a.Name != AnswerOther:
			return -1
		default:
			return 0
		}
	})
	if t := x.prog.Templates[value.value]; t != nil {
		for _, reply := range t.Replies() {
			if answers.get(reply) == nil && answers.get(AnswerOther) == nil {
				x.at(answers, "the button %s of %s has no answer here", reply, t.Name)
			}
		}
	}
	return rules, falls
}

func endsInAgain(n *node) bool {
	return n != nil && n.shape == list && len(n.items) > 0 && n.items[len(n.items)-1].get(string(KindAgain)) != nil
}

// again compiles the step that goes back to the question.
func (x *journeyCheck) again(n, value *node, id string, f frame) {
	count := int(x.integer(value, 1))
	if f.again == nil {
		x.at(n, "again stands only at the end of an answer to ask")
		return
	}
	if count > 20 {
		x.at(value, "again is at most 20")
	}
	f.again.count = count
	x.journey.Plan.Nodes[id] = Node{Kind: KindAgain, Label: "again", Next: to(OutcomeNext, f.again.to)}
}
