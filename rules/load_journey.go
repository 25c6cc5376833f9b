package rules

import (
	"maps"
	"slices"
	"strings"

	"punchcard"
)

// journeyCheck compiles one journey.
type journeyCheck struct {
	*checker
	journey *Journey
	base    scope // what every step sees
	enters  []string
}

// journey reads one file of journeys/.
func (c *checker) journey(n *node) {
	if !c.open(n, journeyGrammar) {
		return
	}
	j := &Journey{Plan: &Plan{Nodes: map[string]Node{}}, Steps: map[string]*Step{}, IfRunning: RunningIgnore}
	x := &journeyCheck{checker: c, journey: j}
	name := n.get("journey")
	j.where = n.position()
	if j.Name = c.name(name); j.Name != "" {
		switch {
		case j.Name == punchcard.BuiltinReply:
			c.at(name, "%q is the name of a built-in journey", punchcard.BuiltinReply)
		case c.prog.Journeys[j.Name] != nil:
			c.at(name, "there are two journeys %q", j.Name)
		}
		c.prog.Journeys[j.Name] = j
	}
	j.Title = c.plainText(n.get("title"))
	x.purpose(n)
	if v := n.get("if_running"); v != nil {
		j.IfRunning = IfRunning(c.oneOf(v, "if_running", string(RunningIgnore), string(RunningRestart), string(RunningAfter)))
	}
	if v := n.get("again_after"); v != nil {
		j.AgainAfter = c.duration(v)
	}
	x.enter(n.get("enter"))
	x.leave(n.get("leave"))
	x.plan(n.get("steps"))
}

// purpose reads why the journey may write: a topic, or a purpose that needs none.
func (x *journeyCheck) purpose(n *node) {
	topic, purpose := n.get("topic"), n.get("purpose")
	switch {
	case topic == nil && purpose == nil:
		x.at(n.key("journey"), "a journey needs a topic, or a purpose: consent or service")
	case topic != nil && purpose != nil:
		x.at(n.key("purpose"), "a journey has a topic or a purpose, not both")
	}
	if topic != nil {
		x.journey.Topic = x.known(topic, "topic", x.topicNames())
	}
	if purpose != nil {
		x.journey.Purpose = Purpose(x.oneOf(purpose, "the purpose", string(PurposeConsent), string(PurposeService)))
	}
}

func (x *journeyCheck) leave(n *node) {
	for _, item := range x.optional(n) {
		if !x.open(item, leaveGrammar) {
			continue
		}
		event, schema := x.event(item.get("on"))
		sc := x.base.with("event", eventType(event, schema))
		l := Leave{
			On: event, Where: x.expr(item.get("where"), sc, wantBool), End: x.name(item.get("end")),
			Goal: x.boolean(item.get("goal")), Value: x.expr(item.get("value"), sc, wantNumber),
		}
		x.journey.Leave = append(x.journey.Leave, l)
	}
}

// plan compiles the steps to a graph.
func (x *journeyCheck) plan(n *node) {
	if n == nil {
		return
	}
	x.branch(n, "", EndNode, frame{scope: x.base})
	nodes := x.journey.Plan.Nodes
	if len(n.items) > 0 {
		x.journey.Plan.Start = x.entryOf(n.items[0], "1")
	}
	for _, node := range nodes {
		for _, to := range node.Next {
			if _, made := nodes[EndNode]; to == EndNode && !made {
				x.put(n, EndNode, Node{Kind: KindEnd, Label: "end completed"}, &Step{Outcome: "completed"})
				return
			}
		}
	}
}

// EndNode is the id of the node in which a run ends that comes to the end of the text. Its outcome is "completed".
const EndNode = "end"

// frame is what surrounds a list of steps.
type frame struct {
	scope scope
	bound map[string]Kind   // by `as`: which kind of step bound it
	gives map[string]string // of those that reward and redeem bound: which reward, where its name is written out
	// returns names the step that the list returns to without being over: it may not wait.
	returns string
	again   *againFrame // the list is an answer, which may end in `again`
}

// againFrame says where an answer's `again` leads, and is told how often it may be taken.
type againFrame struct {
	to    string
	count int
}

func (f frame) inner() frame {
	f.again = nil
	return f
}

func (f frame) bind(name string, kind Kind, t FieldType) frame {
	bound := map[string]Kind{name: kind}
	maps.Copy(bound, f.bound)
	bound[name] = kind
	f.bound = bound
	f.gives = maps.Clone(f.gives)
	delete(f.gives, name)
	f.scope = f.scope.with(name, t)
	return f
}

// branch compiles a list of steps whose ids begin with prefix, and which leads on to next. It tells whether a run can come
// to the end of the list.
func (x *journeyCheck) branch(n *node, prefix, next string, f frame) (falls bool) {
	items := x.items(n)
	if n != nil && n.shape == list && len(items) == 0 {
		x.at(n, "at least one step is expected")
	}
	falls = true
	for i, item := range items {
		if !falls {
			x.at(item, "this step is never reached: the one before it ends the run or goes back")
		}
		id, after := prefix+ordinal(i+1), next
		if i < len(items)-1 {
			after = x.entryOf(items[i+1], prefix+ordinal(i+2))
		}
		falls = x.step(item, id, after, &f)
	}
	return falls
}

// entryOf is the node in which a step begins: a guard before a wait that has one, or the step's own.
func (x *journeyCheck) entryOf(n *node, id string) string {
	if n.get("if") != nil {
		switch stepKind(n) {
		case KindWait, KindWaitUntil, KindWaitFor, KindCollect:
			return id + "/if"
		default:
		}
	}
	return id
}

// put adds a node and the step that says what it does.
func (x *journeyCheck) put(n *node, id string, node Node, step *Step) {
	step.Node, step.Kind, step.Where = id, node.Kind, n.position()
	x.journey.Plan.Nodes[id] = node
	x.journey.Steps[id] = step
}

func to(outcome, node string) map[string]string { return map[string]string{outcome: node} }

// optionalBranch compiles the list under a key and answers the node it begins with; next if there is none.
func (x *journeyCheck) optionalBranch(n *node, key, id, next string, f frame) (entry string, falls bool) {
	steps := n.get(key)
	if steps == nil {
		return next, true
	}
	prefix := id + "/" + key + "/"
	falls = x.branch(steps, prefix, next, f.inner())
	if steps.shape != list || len(steps.items) == 0 {
		return next, true
	}
	return x.entryOf(steps.items[0], prefix+"1"), falls
}

// message checks that the journey may send a template, and reads what a step hands to it.
func (x *journeyCheck) message(n, value *node, f frame) (string, []Param) {
	name := x.known(value, "template", keysOf(x.messages))
	x.use.templates[name] = true
	t := x.prog.Templates[name]
	params := x.with(n.get("with"), t, f)
	if t == nil {
		return name, params
	}
	var missing []string
	for _, p := range t.params {
		if n.get("with").get(p) == nil && !misspelt(n.get("with"), p, t.params) {
			missing = append(missing, p)
		}
	}
	x.endOfOffer(n.get("with"), t, params)
	if x.publish {
		x.codeToCopy(n.get("with"), t, params)
	}
	if len(missing) > 0 {
		x.at(value, "the template %s needs %s by `with`", name, and(missing))
	}
	switch purpose := x.journey.Purpose; {
	case t.Category == "marketing" && purpose != PurposeTopic:
		x.at(value, "%s is marketing, which a journey for %s may not send", name, purpose)
	case t.Category != "utility" && purpose == PurposeConsent && t.Category != "":
		x.at(value, "%s is %s: a journey for consent sends only utility", name, t.Category)
	case t.AsksConsent && purpose != PurposeConsent:
		x.at(value, "%s asks for consent: only a journey with the purpose consent may send it", name)
	}
	return name, params
}

// endOfOffer checks that what a step hands over as the end of an offer is a time.
func (x *journeyCheck) endOfOffer(with *node, t *Template, params []Param) {
	if t.offer == nil || t.offer.param == "" {
		return
	}
	for _, p := range params {
		if p.Name != t.offer.param {
			continue
		}
		for _, w := range p.Value.wordings {
			if len(w.segments) != 1 || w.segments[0].expr == nil || w.segments[0].expr.result.Kind != TypeTime {
				x.at(wordingNode(with.get(p.Name), w.language), "%s is when the offer of %s ends: hand over one time, as in \"{{ welcome.expires }}\"", p.Name, t.Name)
			}
		}
	}
}

// codeToCopy checks what a step writes out as a code that a tap copies. What is known only when it is sent is checked then.
func (x *journeyCheck) codeToCopy(with *node, t *Template, params []Param) {
	for _, b := range t.buttons {
		if b.code == nil {
			continue
		}
		for _, p := range params {
			if p.Name != b.code.source {
				continue
			}
			for _, w := range p.Value.wordings {
				var written strings.Builder
				for _, s := range w.segments {
					written.WriteString(s.literal)
				}
				if code := strings.TrimSpace(written.String()); code != "" && !codeForm.MatchString(code) {
					x.at(wordingNode(with.get(p.Name), w.language), "%s is a code that a tap copies: it has at most 15 letters and digits, and nothing else", p.Name)
				}
			}
		}
	}
}

// misspelt tells whether what is given holds a key that most likely means a parameter: then that is the one mistake.
func misspelt(given *node, param string, params []string) bool {
	return given != nil && slices.ContainsFunc(given.pairs, func(p pair) bool {
		return !slices.Contains(params, p.key.value) && nearest(p.key.value, params) == param
	})
}

func (x *journeyCheck) with(n *node, t *Template, f frame) []Param {
	if n == nil || !x.is(n, mapping) {
		return nil
	}
	var params []Param
	for _, p := range n.pairs {
		if t != nil && t.hash != "" && !slices.Contains(t.params, p.key.value) {
			x.suggest(p.key, nearest(p.key.value, t.params), "the template %s has no place for %q", t.Name, p.key.value)
		}
		value := x.text(p.value, f.scope)
		for _, w := range value.wordings {
			x.filled(w.segments, f.bound)
		}
		params = append(params, Param{Name: p.key.value, Value: value})
		if t != nil && x.publish && slices.Contains(t.captures(), p.key.value) {
			x.handsGrant(p.value, value, t, f)
		}
	}
	return params
}

// handsGrant demands that what a step hands to a template tells the reward that a tap of its button uses.
func (x *journeyCheck) handsGrant(at *node, value Text, t *Template, f frame) {
	found := false
	for _, name := range slices.Sorted(maps.Keys(f.bound)) {
		if kind := f.bound[name]; (kind == KindReward || kind == KindRedeem) && value.Reads(name) {
			found = true
			x.byTap(at, name, f)
		}
	}
	if !found {
		x.at(at, "a tap of %s uses the reward that this is of: fill in something of what reward or redeem gave", t.Name)
	}
}

// byTap demands of a grant whose reward is known that a tap can use it.
func (x *journeyCheck) byTap(at *node, grant string, f frame) {
	if r := x.prog.Rewards[f.gives[grant]]; r != nil && x.publish && r.CapturedBy != punchcard.CapturedByTap {
		x.at(at, "a tap cannot use %s: it is not captured_by tap", r.Name)
	}
}

func and(words []string) string {
	var s strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			s.WriteString(" and ")
		default:
			s.WriteString(", ")
		}
		s.WriteString(w)
	}
	return s.String()
}
