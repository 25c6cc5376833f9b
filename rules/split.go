package rules

import (
	"crypto/sha256"
	"encoding/binary"
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
// run. The arms lie one after another on a line of the customer's, so that a greater weight of the last moves only those
// customers who come to it.
func (s *Split) Arm(journey, customer string) SplitArm {
	total := uint64(0)
	for _, a := range s.Arms {
		total += uint64(a.Weight)
	}
	sum := sha256.Sum256([]byte(journey + "\x00" + s.Name + "\x00" + customer))
	// 53 bits, as a fraction of the whole: exact, and the remainder that an integer division would favour is nothing.
	at := float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53) * float64(total)
	for _, a := range s.Arms {
		if at < float64(a.Weight) {
			return a
		}
		at -= float64(a.Weight)
	}
	return s.Arms[len(s.Arms)-1]
}
