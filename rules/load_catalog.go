package rules

import (
	"maps"
	"slices"
	"time"

	"punchcard"
)

// rewardsFile reads rewards.yaml, which a program need not have.
func (c *checker) rewardsFile(n *node) {
	if n == nil || !c.open(n, rewardsGrammar) {
		return
	}
	rewards := n.get("rewards")
	if !c.is(rewards, mapping) {
		return
	}
	for _, p := range rewards.pairs {
		if name := c.name(p.key); name != "" {
			c.prog.Rewards[name] = c.reward(name, p.value)
		}
	}
}

func (c *checker) reward(name string, n *node) *Reward {
	r := &Reward{Name: name}
	if !c.open(n, rewardGrammar) {
		return r
	}
	r.Kind = RewardKind(c.oneOf(n.get("kind"), "the kind", rewardKinds...))
	r.Title = c.plainText(n.get("title"))
	if v := n.get("cost"); v != nil {
		r.Cost = c.integer(v, 1)
	}
	if v := n.get("value"); v != nil {
		r.Value = c.amount(v)
	}
	if v := n.get("valid_for"); v != nil {
		r.ValidFor = c.duration(v)
	}
	c.rewardWords(r, n)
	c.rewardCodes(r, n)
	c.rewardLimits(r, n)
	c.onlyFor(n, "points", r.Kind == RewardPoints, "points")
	c.onlyFor(n, "url", r.Kind == RewardContent, "content")
	if v := n.get("points"); v != nil {
		r.Points = c.integer(v, 1)
	}
	if v := n.get("url"); v != nil {
		r.URL = c.url(v)
	}
	switch r.Kind {
	case RewardDiscountCode, RewardGiftCard:
		c.need(n, "codes")
		c.need(n, "captured_by")
	case RewardPoints:
		for _, key := range []string{"codes", "captured_by", "cost"} {
			if n.get(key) != nil {
				c.at(n.key(key), "a reward of kind points has no %s", key)
			}
		}
	default:
	}
	if v := n.get("captured_by"); v != nil {
		r.CapturedBy = c.capturedBy(v)
	}
	if v := n.get("min_age"); v != nil {
		r.MinAge = c.duration(v)
		if n.get("cost") == nil {
			c.at(n.key("min_age"), "min_age is for a reward with a cost: what the program gives, it gives by its own rules")
		}
	}
	if v := n.get("partial"); v != nil {
		if r.Partial = c.boolean(v); r.Partial && (r.Kind != RewardGiftCard || r.CapturedBy != punchcard.CapturedByTill || r.Value == 0) {
			c.at(n.key("partial"), "only a gift_card with a value, captured_by till, is used in parts")
		}
	}
	return r
}

// rewardWords reads what customers are told of a reward.
func (c *checker) rewardWords(r *Reward, n *node) {
	if v := n.get("description"); v != nil {
		r.Description = c.plainText(v)
	}
	if v := n.get("terms"); v != nil {
		r.Terms = c.plainText(v)
	}
	if v := n.get("image"); v != nil {
		r.Image = c.url(v)
	}
}

// rewardCodes reads where a reward's codes come from.
func (c *checker) rewardCodes(r *Reward, n *node) {
	switch v := n.get("codes"); {
	case v == nil:
	case v.shape == mapping:
		r.Codes, r.Call = CodesCall, c.codesCall(v)
	case v.value == string(CodesCall):
		c.at(v, "say whose codes they are: codes: {call: the name of a call in program.yaml}")
	default:
		r.Codes = CodesFrom(c.oneOf(v, "codes", string(CodesGenerated), string(CodesPool)))
	}
	if v := n.get("format"); v != nil && c.is(v, scalar) {
		r.Format = v.value
		if r.Codes != CodesGenerated {
			c.at(n.key("format"), "only generated codes have a format")
		} else if err := punchcard.CheckCodeFormat(v.value); err != nil {
			c.at(v, "%v", err)
		}
	}
	if v := n.get("low_stock"); v != nil {
		if r.LowStock = int(c.integer(v, 1)); r.Codes != CodesPool {
			c.at(n.key("low_stock"), "only codes of a pool run low")
		}
	}
}

// AnswerCode and AnswerExpires are the fields by which a call answers a code, and until when it can be used.
const (
	AnswerCode    = "code"
	AnswerExpires = "expires_at"
)

// codesCall reads who is asked for codes: a call that is handed the grant, and answers a code.
func (c *checker) codesCall(n *node) *Call {
	if !c.open(n, codesGrammar) {
		return nil
	}
	at := n.get("call")
	name := c.known(at, "call", slices.Sorted(maps.Keys(c.prog.Calls)))
	c.use.calls[name] = true
	call := c.prog.Calls[name]
	if call == nil {
		return nil
	}
	if len(call.With.fields) > 0 {
		c.at(at, "%s has a with, which no step fills here: a call that gives codes is handed the grant, and has none", name)
	}
	code, answers := call.Answers.record().field(AnswerCode)
	switch {
	case !answers:
		c.at(at, "%s answers no code: declare it in program.yaml, answers: {code: string}", name)
	case code.Type.Kind != TypeString && code.Type.Kind != TypeCode:
		c.at(at, "the code that %s answers is a string or a code, not %s", name, code.Type)
	case code.Optional:
		c.at(at, "%s may leave the code out: write it without a question mark", name)
	}
	if expires, answers := call.Answers.record().field(AnswerExpires); answers && expires.Type.Kind != TypeTime {
		c.at(at, "expires_at is when the code expires, a time, and %s answers %s", name, article(expires.Type.Kind))
	}
	return call
}

// rewardLimits reads who can have a reward, when, how often and how many.
func (c *checker) rewardLimits(r *Reward, n *node) {
	if v := n.get("eligible"); v != nil {
		r.Eligible = c.expr(v, c.scope(), wantBool)
	}
	if v := n.get("from"); v != nil {
		r.From = c.day(v)
	}
	if v := n.get("until"); v != nil {
		if day := c.day(v); !day.IsZero() {
			r.Until = day.AddDate(0, 0, 1)
		}
		if !r.From.IsZero() && !r.Until.IsZero() && !r.From.Before(r.Until) {
			c.at(v, "it ends before it begins")
		}
	}
	switch v := n.get("per_customer"); {
	case v == nil:
	case v.shape == mapping:
		if c.open(v, perCustomerGrammar) {
			r.PerCustomer, r.PerCustomerWithin = int(c.integer(v.get("at_most"), 1)), c.duration(v.get("within"))
		}
	default:
		r.PerCustomer = int(c.integer(v, 1))
	}
	r.AtMost, r.Within = c.limit(n)
	if v := n.get("stock"); v != nil {
		r.Stock = int(c.integer(v, 1))
	}
	if v := n.get("budget"); v != nil && c.open(v, budgetGrammar) {
		r.Budget = c.amount(v.get("amount"))
		if w := v.get("within"); w != nil {
			r.BudgetWithin = c.duration(w)
		}
		switch {
		case r.Value <= 0:
			c.at(n.key("budget"), "a budget counts what grants are worth: value is missing")
		case r.Budget > 0 && r.Budget < r.Value: // of one that could not be read that is said already
			c.at(v, "the budget does not reach for one")
		}
	}
}

// day is the beginning of a day in the program's zone.
func (c *checker) day(n *node) time.Time {
	if !c.is(n, scalar) {
		return time.Time{}
	}
	day, err := time.ParseInLocation(time.DateOnly, n.value, c.prog.Zone)
	if err != nil {
		c.at(n, "%q is no day: write 2026-12-01", n.value)
	}
	return day
}

// onlyFor reports a key that is missing where a kind needs it, or stands where it means nothing.
func (c *checker) onlyFor(n *node, key string, applies bool, kind string) {
	switch v := n.get(key); {
	case applies && v == nil:
		c.at(n, "%s is missing", key)
	case !applies && v != nil && n.get("kind") != nil:
		c.at(n.key(key), "only a reward of kind %s has %s", kind, key)
	}
}

func (c *checker) capturedBy(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	ways := []string{punchcard.CapturedByTill, punchcard.CapturedByTap, punchcard.CapturedByDelivery}
	if slices.Contains(ways, n.value) {
		return n.value
	}
	names := append(c.prog.eventNames(), ways...)
	if !slices.Contains(names, n.value) {
		c.suggest(n, nearest(n.value, names), "captured_by is till, tap, delivery or an event, not %q", n.value)
		return ""
	}
	if s, _ := c.prog.Schema(n.value); len(s.CodeFields()) == 0 {
		c.at(n, "%s has no property of type code, by which it could capture a reward", n.value)
	}
	return n.value
}
