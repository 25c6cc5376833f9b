package workflows

import (
	"time"

	"punchcard/rules"
)

// Input is what a run's workflow is given: ids, the plan and, after continue-as-new, where the run stands.
type Input struct {
	Run      string `json:"run"`
	Customer string `json:"customer"`
	Version  int    `json:"version"`
	// Interpreter is the version of the Cursor's rules that the run goes by, all its life.
	Interpreter int `json:"interpreter"`
	// Speed is business seconds per real second: timers last a wait divided by it.
	Speed float64     `json:"speed"`
	Plan  *rules.Plan `json:"plan"`
	// Armed says that the plan starts with a wait that is armed, and First what is left of it in business time.
	Armed bool          `json:"armed,omitempty"`
	First time.Duration `json:"first,omitempty"`

	// What follows is set by continue-as-new only.
	State   *rules.State   `json:"state,omitempty"`   // where the Cursor stands
	Unheard []rules.Signal `json:"unheard,omitempty"` // what came while an effect was unanswered
	Tries   int            `json:"tries,omitempty"`   // how often that effect went unanswered
	Story   []string       `json:"story,omitempty"`   // the last lines of the story
}

// Result is how a run ended.
type Result struct {
	Outcome string `json:"outcome"`
}
