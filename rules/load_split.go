package rules

import "strings"

// maxWeight bounds a share of a split.
const maxWeight = 1000

// split compiles a division of customers among arms.
func (x *journeyCheck) split(n, value *node, id, next string, f frame) (falls bool) {
	s := &Split{Name: x.journey.Name}
	if name := n.get("name"); name != nil {
		s.Name = x.name(name)
	}
	edges := map[string]string{}
	f = f.inner()
	arms, seen := 0, map[string]bool{}
	for _, item := range x.items(value) {
		if !x.is(item, mapping) {
			continue
		}
		if share := item.get("holdout"); share != nil {
			x.open(item, holdoutGrammar)
			if _, twice := edges[OutcomeHoldout]; twice {
				x.at(item, "a split has one holdout")
			}
			s.Arms = append(s.Arms, SplitArm{Name: OutcomeHoldout, Weight: x.weight(share), Holdout: true})
			edges[OutcomeHoldout] = id + "/holdout"
			x.put(item, id+"/holdout", Node{Kind: KindEnd, Label: "end holdout"}, &Step{Outcome: OutcomeHoldout})
			continue
		}
		x.open(item, armGrammar)
		arm := SplitArm{Name: armName(arms), Weight: x.weight(item.get("weight"))}
		arms++
		if name := item.get("name"); name != nil {
			arm.Name = x.name(name)
		}
		switch {
		case arm.Name == OutcomeHoldout:
			x.at(item.get("name"), "an arm is not called holdout: write {holdout: …}")
		case seen[arm.Name] && arm.Name != "":
			x.at(item, "there are two arms %q", arm.Name)
		}
		seen[arm.Name] = true
		s.Arms = append(s.Arms, arm)
		do, prefix := item.get("do"), id+"/"+arm.Name+"/"
		if x.branch(do, prefix, next, f) {
			falls = true
		}
		edges[Arm(arm.Name)] = x.begins(do, prefix, next)
	}
	if value != nil && value.shape == list && len(s.Arms) < 2 {
		x.at(value, "a split has at least two arms, or an arm and a holdout")
	} else if arms == 0 && value != nil && value.shape == list {
		x.at(value, "at least one arm with a weight is expected")
	}
	falls = falls || arms == 0 // reported already
	// What no arm is named for cannot come; an edge keeps the plan whole for a reader who does not know that.
	edges[OutcomeNext] = next
	x.put(n, id, Node{Kind: KindSplit, Label: strings.TrimSpace("split " + s.Name), Next: edges}, &Step{Split: s})
	return falls
}

// armName is the name of the i-th arm that has none of its own: a, b, c …
func armName(i int) string {
	if alphabet := "abcdefghijklmnopqrstuvwxyz"; i < len(alphabet) {
		return alphabet[i : i+1]
	}
	return "arm-" + ordinal(i+1)
}

func (x *journeyCheck) weight(n *node) int {
	w := x.integer(n, 1)
	if w > maxWeight {
		x.at(n, "a weight is at most %d", maxWeight)
	}
	return int(w)
}
