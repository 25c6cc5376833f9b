package rules

import (
	"maps"
	"slices"
	"strconv"
)

func ordinal(i int) string { return strconv.Itoa(i) }

// stepKind is the kind of a step: that of its keys which names one; "" if none does.
func stepKind(n *node) Kind {
	for _, p := range n.pairs {
		if f, ok := formOf(Kind(p.key.value)); ok {
			return f.kind
		}
	}
	return ""
}

// step compiles one step, in the frame that it may add a name to. It tells whether a run can go on to next.
func (x *journeyCheck) step(n *node, id, next string, f *frame) (falls bool) {
	if !x.is(n, mapping) {
		return true
	}
	kind := stepKind(n)
	if kind == "" {
		x.unknownStep(n)
		return true
	}
	form, _ := formOf(kind)
	x.open(n, form.object())
	if f.returns != "" && (kind.Waits() || kind == KindAsk || kind == KindApprove) {
		x.at(n, "a branch that goes back to %s may not wait: it has no %s", f.returns, kind)
	}
	value := n.get(string(kind))
	switch kind {
	case KindSend:
		return x.send(n, value, id, next, *f)
	case KindSay:
		x.say(n, value, id, next, *f)
		return true
	case KindAsk:
		return x.ask(n, value, id, next, *f)
	case KindWait:
		return x.wait(n, value, id, next, *f)
	case KindWaitUntil:
		x.waitUntil(n, value, id, next, *f)
		return true
	case KindWaitFor:
		return x.waitFor(n, value, id, next, *f)
	case KindCollect:
		return x.collect(n, value, id, next, f)
	case KindChoose:
		return x.choose(value, id, next, *f)
	case KindSplit:
		return x.split(n, value, id, next, *f)
	case KindReward, KindRedeem:
		return x.reward(n, value, kind, id, next, f)
	case KindApprove:
		return x.approve(n, value, id, next, *f)
	case KindCall:
		return x.call(n, value, id, next, f)
	case KindAgain:
		x.again(n, value, id, *f)
		return false
	case KindEnd:
		outcome := x.name(value)
		x.put(n, id, Node{Kind: KindEnd, Label: "end " + outcome}, &Step{Outcome: outcome})
		return false
	default:
		return x.simple(n, value, kind, id, next, *f)
	}
}

// simple compiles a step that does one thing and leads on.
func (x *journeyCheck) simple(n, value *node, kind Kind, id, next string, f frame) (falls bool) {
	switch kind {
	case KindCapture:
		return x.capture(n, value, id, next, f)
	case KindRelease:
		x.release(n, value, id, next, f)
	case KindPoints:
		x.givePoints(n, value, id, next, f)
	case KindConsent:
		x.consent(n, value, id, next, f)
	case KindLabel, KindUnlabel:
		x.label(n, value, kind, id, next, f)
	case KindSet:
		x.set(n, value, id, next, f)
	case KindRaise:
		x.raise(n, value, id, next, f)
	case KindHandoff:
		x.handoff(n, value, id, next, f)
	case KindStart:
		x.start(n, value, id, next, f)
	default:
	}
	return true
}

// unknownStep reports a step of which no key names a kind: the first that is no option of any.
func (x *journeyCheck) unknownStep(n *node) {
	options := map[string]bool{}
	kinds := make([]string, len(stepForms))
	for i, f := range stepForms {
		kinds[i] = string(f.kind)
		for _, k := range f.options {
			options[k.name] = true
		}
	}
	for _, p := range n.pairs {
		if !options[p.key.value] {
			x.suggest(p.key, nearest(p.key.value, kinds), "%q is not known", p.key.value)
			return
		}
	}
	x.at(n, "a step begins with what it does: %s", alternatives(kinds))
}

// guard is a step's `if`.
func (x *journeyCheck) guard(n *node, f frame) *Expr { return x.expr(n.get("if"), f.scope, wantBool) }

// guardBefore puts a choice before a wait that has an `if`: a wait itself has no way past it.
func (x *journeyCheck) guardBefore(n *node, id, next string, f frame) {
	if n.get("if") == nil {
		return
	}
	x.put(n, id+"/if", Node{
		Kind: KindChoose, Label: "if", Next: map[string]string{Case(0): id, OutcomeOtherwise: next},
	}, &Step{Cases: []*Expr{x.guard(n, f)}})
}

func (x *journeyCheck) send(n, value *node, id, next string, f frame) bool {
	template, params := x.message(n, value, f)
	notSent, _ := x.optionalBranch(n, "on_not_sent", id, next, f)
	edges := to(OutcomeNext, next)
	if notSent != next {
		edges[OutcomeNotSent] = notSent
	}
	step := &Step{If: x.guard(n, f), Template: template, With: params}
	x.notNow(n, id, edges, step)
	x.put(n, id, Node{Kind: KindSend, Label: "send " + template, Next: edges}, step)
	return true
}

// notNow reads what happens to a message that may not go now.
func (x *journeyCheck) notNow(n *node, id string, edges map[string]string, step *Step) {
	step.NotNow, step.Within = NotNowWait, DefaultWithin
	if o := n.get("not_now"); o != nil {
		step.NotNow = NotNow(x.oneOf(o, "not_now", words(NotNowWait, NotNowSkip, NotNowEnd)...))
	}
	if d := n.get("within"); d != nil {
		step.Within = x.duration(d)
		if step.NotNow == NotNowSkip || step.NotNow == NotNowEnd {
			x.at(n.key("within"), "within says how long a message waits: with not_now: %s it does not wait", step.NotNow)
		}
	}
	if step.NotNow == NotNowEnd {
		edges[OutcomeNotNow] = id + "/not_now"
		x.put(n, id+"/not_now", Node{Kind: KindEnd, Label: "end " + OutcomeNotNow}, &Step{Outcome: OutcomeNotNow})
	}
}

func (x *journeyCheck) wait(n, value *node, id, next string, f frame) bool {
	x.guardBefore(n, id, next, f)
	d := x.duration(value)
	step := &Step{}
	if r := n.get("restart_on"); r != nil && x.open(r, restartGrammar) {
		event, schema := x.event(r.get("on"))
		step.RestartOn = &RestartOn{On: event, Where: x.expr(r.get("where"), f.scope.with("event", eventType(event, schema)), wantBool)}
		if u := r.get("update"); u != nil {
			step.RestartOn.UpdateEntry = x.oneOf(u, "update", "entry") != ""
			if event != "" && !slices.Contains(x.enters, event) {
				x.at(u, "%s cannot become the entry: the journey does not enter by it", event)
			}
		}
	}
	x.put(n, id, Node{Kind: KindWait, Label: "wait " + formatDuration(d), Next: to(OutcomeElapsed, next), For: d, Scope: id}, step)
	return true
}

func (x *journeyCheck) waitFor(n, value *node, id, next string, f frame) bool {
	x.guardBefore(n, id, next, f)
	event, schema := x.event(value)
	timeout := x.duration(n.get("timeout"))
	late, _ := x.optionalBranch(n, "on_timeout", id, next, f)
	x.put(n, id, Node{
		Kind: KindWaitFor, Label: "wait_for " + event, Next: map[string]string{OutcomeHeard: next, OutcomeElapsed: late},
		For: timeout, Scope: id,
	}, &Step{On: event, Filter: x.expr(n.get("where"), f.scope.with("event", eventType(event, schema)), wantBool)})
	return true
}

func (x *journeyCheck) collect(n, value *node, id, next string, f *frame) bool {
	x.guardBefore(n, id, next, *f)
	event, schema := x.event(value)
	within := *f
	within.scope = f.scope.with("collected", collectedType)
	late, _ := x.optionalBranch(n, "on_timeout", id, next, within)
	node := Node{
		Kind: KindCollect, Label: "collect " + event, Next: map[string]string{OutcomeFull: next, OutcomeElapsed: late},
		For: x.duration(n.get("timeout")), Scope: id,
	}
	counting := n.get("counting_entry")
	step := &Step{
		On: event, Filter: x.expr(n.get("where"), f.scope.with("event", eventType(event, schema)), wantBool),
		Until:         x.expr(n.get("until"), within.scope.with("event", eventType(event, schema)), wantBool),
		CountingEntry: x.boolean(counting),
	}
	if u := step.Until; u != nil && !x.changes(u, event) {
		x.report(u.Where, "", "until reads nothing that changes while it waits: it holds at once or never")
	}
	if step.CountingEntry && event != "" && !slices.Contains(x.enters, event) {
		x.at(counting, "the entry cannot be counted: the journey does not enter by %s", event)
	}
	if each := n.get("each"); each != nil {
		prefix, branch := id+"/each/", within.inner()
		branch.returns = "collect"
		if x.is(each, list) && len(each.items) > 0 {
			back := prefix + ordinal(len(each.items)+1)
			node.Next[OutcomeEach] = x.entryOf(each.items[0], prefix+"1")
			node.Returns = map[string]int{OutcomeEach: 0}
			x.branch(each, prefix, back, branch)
			x.journey.Plan.Nodes[back] = Node{Kind: KindAgain, Label: "again", Next: to(OutcomeNext, id)}
		} else if each.shape == list {
			x.at(each, "at least one step is expected")
		}
	}
	x.put(n, id, node, step)
	*f = within
	return true
}

// changes tells whether what an expression reads may be another when an event has come.
func (x *journeyCheck) changes(e *Expr, event string) bool {
	if event == "" {
		return true // reported already
	}
	for name := range e.names {
		switch name {
		case "collected", "event", "customer", "points", "segment", "now", "times()", "total()", "latest()", "consent()":
			return true
		default:
		}
	}
	return false
}

func (x *journeyCheck) choose(n *node, id, next string, f frame) (falls bool) {
	choice, step := Node{Kind: KindChoose, Label: "choose", Next: map[string]string{}}, &Step{}
	f = f.inner()
	cases := x.items(n)
	var otherwise *node
	for i, item := range cases {
		if !x.is(item, mapping) {
			continue
		}
		if steps := item.get("otherwise"); steps != nil {
			x.open(item, otherwiseGrammar)
			if i != len(cases)-1 {
				x.at(item, "otherwise comes last")
			}
			otherwise = steps
			continue
		}
		if i == len(cases)-1 && len(item.pairs) == 1 && nearest(item.pairs[0].key.value, otherwiseGrammar.names()) != "" {
			x.open(item, otherwiseGrammar)
			continue
		}
		x.open(item, caseGrammar)
		prefix := id + "/case" + ordinal(len(step.Cases)+1) + "/"
		outcome := Case(len(step.Cases))
		step.Cases = append(step.Cases, x.expr(item.get("if"), f.scope, wantBool))
		do := item.get("do")
		if x.branch(do, prefix, next, f) {
			falls = true
		}
		choice.Next[outcome] = x.begins(do, prefix, next)
	}
	if len(step.Cases) == 0 && n != nil && n.shape == list {
		x.at(n, "at least one case with an if is expected")
	}
	choice.Next[OutcomeOtherwise] = next
	if otherwise == nil {
		falls = true
	} else {
		prefix := id + "/otherwise/"
		if x.branch(otherwise, prefix, next, f) {
			falls = true
		}
		choice.Next[OutcomeOtherwise] = x.begins(otherwise, prefix, next)
	}
	if n != nil {
		x.put(n, id, choice, step)
	}
	return falls
}

// begins is the node in which a list of steps begins; next if it has none.
func (x *journeyCheck) begins(n *node, prefix, next string) string {
	if n == nil || n.shape != list || len(n.items) == 0 {
		return next
	}
	return x.entryOf(n.items[0], prefix+"1")
}

func (x *journeyCheck) reward(n, value *node, kind Kind, id, next string, f *frame) bool {
	step := &Step{If: x.guard(n, *f), Reward: x.text(value, f.scope)}
	label, gives := string(kind), ""
	if name, ok := step.Reward.Const(); ok && value.shape == scalar {
		label += " " + x.known(value, "reward", keysOf(x.rewards))
		x.use.rewards[name], gives = true, name
		if r := x.prog.Rewards[name]; r != nil && kind == KindRedeem && r.Cost == 0 {
			x.at(value, "%s has no cost: it is given by reward, not redeemed with points", name)
		}
	} else if value.shape == mapping {
		x.at(value, "the name of a reward is the same in every language")
	} else {
		x.use.anyReward = true
	}
	inner := *f
	if as := n.get("as"); as != nil {
		step.As = x.bindable(as, *f)
		if step.As != "" {
			inner = f.bind(step.As, kind, boundType)
			if gives != "" {
				given := map[string]string{step.As: gives}
				maps.Copy(given, f.gives)
				given[step.As] = gives
				inner.gives = given
			}
		}
	}
	refused, _ := x.optionalBranch(n, "on_refused", id, next, inner)
	edges := to(OutcomeNext, next)
	if refused != next {
		edges[OutcomeRefused] = refused
	}
	x.put(n, id, Node{Kind: kind, Label: label, Next: edges, Asks: x.asks(step.Reward, kind)}, step)
	*f = inner
	return true
}

// asks tells whether another system may have to be asked for the code of what a reward or redeem step names: of one reward, or, where an
// expression names it, of any that it can be.
func (x *journeyCheck) asks(reward Text, kind Kind) bool {
	if name, ok := reward.Const(); ok {
		r := x.prog.Rewards[name]
		return r != nil && r.Codes == CodesCall
	}
	for _, r := range x.prog.Rewards {
		if r.Codes == CodesCall && (kind == KindReward || r.Cost > 0) {
			return true
		}
	}
	return false
}

// bindable is a name that `as` may bind.
func (x *journeyCheck) bindable(n *node, f frame) string {
	if !x.is(n, scalar) {
		return ""
	}
	_, taken := f.scope.vars[n.value]
	switch {
	case !fieldName.MatchString(n.value):
		x.at(n, "%q cannot be a name here: use lower-case letters, digits and _, and begin with a letter", n.value)
	case reserved(n.value):
		x.at(n, "%q is a word of the language", n.value)
	case taken:
		x.at(n, "%q is bound by an earlier step already", n.value)
	default:
		return n.value
	}
	return ""
}

func (x *journeyCheck) consent(n, value *node, id, next string, f frame) {
	standing := map[string]string{"grant": "granted", "refuse": "refused", "revoke": "revoked"}
	word := x.oneOf(value, "consent", "grant", "refuse", "revoke")
	x.put(n, id, Node{Kind: KindConsent, Label: "consent " + word, Next: to(OutcomeNext, next)}, &Step{
		If: x.guard(n, f), Consent: standing[word], Topics: x.topics(n.get("topics")),
	})
}

func (x *journeyCheck) approve(n, value *node, id, next string, f frame) bool {
	decision := id + "/decision"
	timeout := x.duration(n.get("timeout"))
	rejected, _ := x.optionalBranch(n, "on_rejected", id, next, f)
	late, _ := x.optionalBranch(n, "on_timeout", id, next, f)
	edges := to(OutcomeNext, decision)
	if n.get("if") != nil {
		edges[OutcomeSkipped] = next
	}
	x.put(n, id, Node{Kind: KindApprove, Label: "approve", Next: edges}, &Step{If: x.guard(n, f), Title: x.text(value, f.scope)})
	x.put(n, decision, Node{
		Kind: KindDecision, Label: "decision", For: timeout, Scope: id,
		Next: map[string]string{OutcomeApproved: next, OutcomeRejected: rejected, OutcomeElapsed: late},
	}, &Step{})
	return true
}
