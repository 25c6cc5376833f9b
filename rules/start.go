package rules

import "time"

// Start is all that a run's workflow is given to begin with.
type Start struct {
	Run      string // our id of the run; the workflow's id is made of it and the journey's name
	Journey  string
	Customer string // our id, opaque
	Version  int    // of the program
	Plan     *Plan
	// Armed says that the plan starts with a wait, and that it is armed; First is what is left of it.
	Armed bool
	First time.Duration
}
