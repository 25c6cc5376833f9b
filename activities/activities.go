// Package activities is what a run may do to the world. Each activity is idempotent by the run and the step's number, passes
// the fence before it does anything, and answers with codes, never with a customer's data: its input and result stand in the
// workflow's history.
package activities

import (
	"punchcard/rules"
)

// Input names one effect of one run.
type Input struct {
	Run string `json:"run"`
	rules.Effect
}
