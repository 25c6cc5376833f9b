package rules

// usage notes what a program's texts read and send, for the warnings about what nothing uses.
type usage struct {
	segments  map[string]bool
	templates map[string]bool
	rewards   map[string]bool
	calls     map[string]bool
	anyReward bool // a reward is named by an expression: it may be any that costs points
}

func newUsage() usage {
	return usage{
		segments: map[string]bool{}, templates: map[string]bool{}, rewards: map[string]bool{}, calls: map[string]bool{},
	}
}

// expression notes what an expression reads.
func (u *usage) expression(x *exprCheck) {
	for name := range x.segments {
		u.segments[name] = true
	}
}
