package rules

// Keyword is the keyword that a whole message stands for, whatever its case, accents, punctuation and spaces.
func (p *Program) Keyword(text string) (name string, ok bool) { return "", false }
