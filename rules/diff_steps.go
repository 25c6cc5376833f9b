package rules

import (
	"slices"
	"strings"
)

// steps tells how a list of steps changes: what is the same keeps its place, what has moved, what it says otherwise, and then
// what is gone and what is new.
func (d *differ) steps(label string, a, b []*node) {
	partner := matchSteps(a, b)
	prefix := ""
	if label != "" {
		prefix = label + ": "
	}
	matched, stays := map[int]bool{}, longestRising(partner)
	for i, j := range partner {
		switch {
		case j < 0:
			d.say("%s%s is removed", prefix, d.called(a[i]))
			continue
		case !stays[i]:
			d.say("%s%s moves %s", prefix, d.called(b[j]), d.behind(b, j))
		}
		matched[j] = true
	}
	for i, j := range partner {
		if j >= 0 {
			d.step(prefix, a[i], b[j])
		}
	}
	for j, step := range b {
		if !matched[j] {
			d.say("%s%s is added %s", prefix, d.inWords(step), d.behind(b, j))
		}
	}
}

// behind says after which step one stands.
func (d *differ) behind(steps []*node, i int) string {
	if i == 0 {
		return "at the beginning"
	}
	return "after " + d.called(steps[i-1])
}

// called is what a step is called among those of its journey.
func (d *differ) called(n *node) string { return d.ordinals[n] }

// inWords is a new step, with what it does.
func (d *differ) inWords(n *node) string {
	kind := stepKind(n)
	if main := n.get(string(kind)); main != nil && main.shape == scalar {
		return string(kind) + " " + clip(main.value)
	}
	return "a " + string(kind)
}

// matchSteps finds for each old step the new one that it has become: -1 for none. Equal ones first, in order; then equal ones
// that have moved; then those that do the same with other options; then those of the same kind between the same neighbours.
func matchSteps(a, b []*node) []int {
	partner := make([]int, len(a))
	for i := range partner {
		partner[i] = -1
	}
	taken := make([]bool, len(b))
	pair := func(i, j int) { partner[i], taken[j] = j, true }
	for _, p := range longestCommon(a, b) {
		pair(p[0], p[1])
	}
	for _, fits := range []func(i, j int) bool{
		func(i, j int) bool { return sameTree(a[i], b[j]) },
		func(i, j int) bool {
			kind := stepKind(a[i])
			return kind == stepKind(b[j]) && named(kind) && sameTree(a[i].get(string(kind)), b[j].get(string(kind)))
		},
		func(i, j int) bool {
			return stepKind(a[i]) == stepKind(b[j]) && before(partner, i) == lastTaken(taken, j)
		},
	} {
		for i := range a {
			for j := range b {
				if partner[i] < 0 && !taken[j] && fits(i, j) {
					pair(i, j)
				}
			}
		}
	}
	return partner
}

// before is the partner of the nearest step before the i-th that has one.
func before(partner []int, i int) int {
	for _, j := range slices.Backward(partner[:i]) {
		if j >= 0 {
			return j
		}
	}
	return -1
}

// lastTaken is the nearest step before the j-th that is a partner.
func lastTaken(taken []bool, j int) int {
	for j--; j >= 0 && !taken[j]; j-- {
	}
	return j
}

// longestCommon pairs the most steps that are equal and in the same order.
func longestCommon(a, b []*node) [][2]int {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i, v := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if sameTree(v, b[j]) {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case sameTree(a[i], b[j]):
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// longestRising finds the most steps whose partners are in the same order: they stay, and the others move.
func longestRising(partner []int) map[int]bool {
	length, from := make([]int, len(partner)), make([]int, len(partner))
	best := -1
	for i, p := range partner {
		from[i] = -1
		if p < 0 {
			continue
		}
		length[i] = 1
		for j := range i {
			if partner[j] >= 0 && partner[j] < p && length[j]+1 > length[i] {
				length[i], from[i] = length[j]+1, j
			}
		}
		if best < 0 || length[i] > length[best] {
			best = i
		}
	}
	stays := map[int]bool{}
	for ; best >= 0; best = from[best] {
		stays[best] = true
	}
	return stays
}

// step tells how one step changes.
func (d *differ) step(prefix string, a, b *node) {
	kind := stepKind(b)
	form, _ := formOf(kind)
	label := prefix + d.called(a)
	was, is := a.get(string(kind)), b.get(string(kind))
	switch {
	case sameTree(was, is):
	case kind == KindChoose:
		d.cases(label, was.items, is.items, "case")
	case kind == KindSplit:
		d.cases(label, was.items, is.items, "arm")
	case named(kind) && was.shape == scalar && is.shape == scalar:
		d.say("%s becomes %s %s", label, kind, clip(is.value))
	default:
		d.value(label, form.main, was, is)
	}
	for _, option := range form.options {
		x, y := a.get(option.name), b.get(option.name)
		if option.form.kind == formSteps && x != nil && y != nil {
			d.steps(under(label, option.name), x.items, y.items)
			continue
		}
		d.value(under(label, option.name), option.form, x, y)
	}
}

// cases tells how the ways of a choose or a split change, one by one.
func (d *differ) cases(label string, a, b []*node, word string) {
	for i := range max(len(a), len(b)) {
		one := label + ": the " + nth(i) + " " + word
		switch {
		case i >= len(a):
			d.say("%s is added: %s", one, brief(b[i]))
		case i >= len(b):
			d.say("%s is removed; it was %s", one, brief(a[i]))
		default:
			for _, key := range keysUnion(a[i], b[i]) {
				f := aWord
				if key == "do" || key == "otherwise" {
					f = someSteps
				}
				inner := one + ": " + key
				if key == "do" {
					inner = one
				}
				d.value(inner, f, a[i].get(key), b[i].get(key))
			}
		}
	}
}

// named tells whether a kind of step is known by what stands under its key: send cart_reminder.
func named(kind Kind) bool {
	form, _ := formOf(kind)
	switch kind {
	case KindSend, KindAsk, KindWaitFor, KindCollect, KindReward, KindRedeem, KindCapture, KindRelease, KindConsent, KindLabel, KindUnlabel,
		KindRaise, KindCall, KindStart, KindEnd:
		return form.kind != ""
	default:
		return false
	}
}

// nameSteps finds what each step of a journey is called: what it does, and which it is where several do the same.
func nameSteps(steps *node, names map[*node]string) {
	var all []*node
	var walk func(n *node, f form)
	walk = func(n *node, f form) {
		f = settle(f, n)
		if f.kind == formSteps {
			all = append(all, n.items...)
		}
		for _, item := range n.items {
			walk(item, child(f, item, ""))
		}
		for _, p := range n.pairs {
			walk(p.value, child(f, p.value, p.key.value))
		}
	}
	if steps == nil {
		return
	}
	walk(steps, someSteps)
	// In the order of the text, not of the nesting.
	slices.SortStableFunc(all, func(x, y *node) int {
		if x.line != y.line {
			return x.line - y.line
		}
		return x.col - y.col
	})
	call := func(n *node) string {
		kind := stepKind(n)
		if main := n.get(string(kind)); named(kind) && main != nil && main.shape == scalar {
			return string(kind) + " " + clip(main.value)
		}
		return string(kind)
	}
	count, seen := map[string]int{}, map[string]int{}
	for _, n := range all {
		count[call(n)]++
	}
	for _, n := range all {
		name := call(n)
		switch {
		case count[name] > 1:
			names[n] = "the " + nth(seen[name]) + " " + name
		case strings.Contains(name, " "):
			names[n] = name
		default:
			names[n] = "the " + name
		}
		seen[name]++
	}
}
