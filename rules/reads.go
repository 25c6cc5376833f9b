package rules

// Reads tells whether anything that is filled into the text reads a name: what `as` bound, or a word such as customer.
func (t Text) Reads(name string) bool {
	for _, w := range t.wordings {
		for _, s := range w.segments {
			if s.expr != nil && s.expr.names[name] {
				return true
			}
		}
	}
	return false
}

// NearestEvent is the event of the program's own that a misspelt name most likely means, or "".
func (p *Program) NearestEvent(name string) string {
	known := make([]string, 0, len(p.Events))
	for e := range p.Events {
		known = append(known, e)
	}
	return nearest(name, known)
}
