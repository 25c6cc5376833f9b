package rules

// publishable checks what only the whole program shows.
func (c *checker) publishable(roots map[string]*node) {
}
