package rules

import "slices"

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
	if v := n.get("per_customer"); v != nil {
		r.PerCustomer = int(c.integer(v, 1))
	}
	if v := n.get("codes"); v != nil {
		r.Codes = c.oneOf(v, "codes", "generated", "pool")
	}
	r.AtMost, r.Within = c.limit(n)
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
	return r
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
	if n.value == "till" || n.value == "delivery" {
		return n.value
	}
	names := append(c.prog.eventNames(), "till", "delivery")
	if !slices.Contains(names, n.value) {
		c.suggest(n, nearest(n.value, names), "captured_by is till, delivery or an event, not %q", n.value)
		return ""
	}
	if s, _ := c.prog.Schema(n.value); len(s.CodeFields()) == 0 {
		c.at(n, "%s has no property of type code, by which it could capture a reward", n.value)
	}
	return n.value
}
