package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
)

// Split divides customers among arms, by weight. A customer belongs to the same arm each time, in every version of the journey
// that has the same arms.
type Split struct {
	Name string // the journey's name, unless the text gives one
	Arms []SplitArm
}

// SplitArm is one share of a Split.
type SplitArm struct {
	Name    string
	Weight  int
	Holdout bool // gets nothing: the run ends as OutcomeHoldout
}

// Arm is the arm that a customer belongs to in a journey. It depends on nothing else: not on the plan's version, not on the
// run, not on the order of the arms. Each arm draws a lot for the customer, by its weight, and the highest has them: so an arm
// that grows takes customers from the others and moves no one else, and one that shrinks or goes only gives its own away.
func (s *Split) Arm(journey, customer string) SplitArm {
	best, highest := SplitArm{}, math.Inf(-1)
	for _, a := range s.Arms {
		sum := sha256.Sum256([]byte(journey + "\x00" + s.Name + "\x00" + a.Name + "\x00" + customer))
		// 53 bits, as a fraction that is neither 0 nor 1.
		drawn := (float64(binary.BigEndian.Uint64(sum[:8])>>11) + 0.5) / (1 << 53)
		if lot := float64(a.Weight) / -math.Log(drawn); lot > highest {
			best, highest = a, lot
		}
	}
	return best
}
