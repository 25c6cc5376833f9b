package rules

import (
	"maps"
	"net/url"
	"slices"
	"time"
)

// How long another system may take to answer.
const (
	callTimeout    = 5 * time.Second
	maxCallTimeout = 30 * time.Second
)

// calls reads the other systems that a program may ask.
func (c *checker) calls(n *node) {
	if n == nil || !c.is(n, mapping) {
		return
	}
	for _, p := range n.pairs {
		if !eventName.MatchString(p.key.value) || len(p.key.value) > 100 {
			c.at(p.key, "%q cannot be the name of a call: write two words with a dot between, such as crm.profile", p.key.value)
			continue
		}
		call := &Call{Name: p.key.value, Timeout: callTimeout}
		c.prog.Calls[call.Name] = call
		if !c.open(p.value, callGrammar) {
			continue
		}
		call.URL = c.callURL(p.value.get("url"))
		call.With, call.Answers = c.schema(p.value.get("with")), c.schema(p.value.get("answers"))
		if d := p.value.get("timeout"); d != nil {
			if call.Timeout = c.duration(d); call.Timeout > maxCallTimeout {
				c.at(d, "an answer may take at most %s", formatDuration(maxCallTimeout))
			}
		}
	}
}

// callURL is where a request goes: encrypted, unless it does not leave the machine, and without a password, which would stand
// in every version of the program.
func (c *checker) callURL(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	u, err := url.Parse(n.value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(n.value) > 2000:
		c.at(n, "%q is no web address", n.value)
	case u.User != nil:
		c.report(n.position(), "", "an address holds no password: requests are signed")
	case u.Scheme == "http" && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1" && u.Hostname() != "::1":
		c.at(n, "%q is not encrypted: write https", n.value)
	}
	return n.value
}

// call compiles a question to another system, whose answer later steps may read.
func (x *journeyCheck) call(n, value *node, id, next string, f *frame) (falls bool) {
	step := &Step{If: x.guard(n, *f)}
	step.Call = x.known(value, "call", slices.Sorted(maps.Keys(x.prog.Calls)))
	x.use.calls[step.Call] = true
	var answers Schema
	if call := x.prog.Calls[step.Call]; call != nil {
		step.target, answers = call.With, call.Answers
		step.Properties = x.assignments(n.get("with"), value, call.With, assigned{what: call.Name, field: "field"}, *f)
	}
	failed, failedFalls := x.optionalBranch(n, "on_failed", id, next, *f)
	if as := n.get("as"); as != nil {
		if step.As = x.bindable(as, *f); step.As != "" {
			// Nothing was answered where the call was passed over, or failed and the run went on all the same.
			if step.If != nil || n.get("on_failed") == nil || failedFalls {
				all := slices.Clone(answers.fields)
				for i := range all {
					all[i].Optional = true
				}
				answers = Schema{fields: all}
			}
			*f = f.bind(step.As, KindCall, answers.record())
		}
	}
	edges := to(OutcomeNext, next)
	if failed != next {
		edges[OutcomeFailed] = failed
	}
	x.put(n, id, Node{Kind: KindCall, Label: "call " + step.Call, Next: edges}, step)
	return true
}
