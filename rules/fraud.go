package rules

import "time"

// Fraud are the rules against misuse of rewards. The zero value is not in force: Load fills in the defaults.
type Fraud struct {
	MinAge        time.Duration // how long a customer must be known before they can redeem; 0: not at all
	Limits        []FraudLimit
	Guesses       Guesses
	ReverseWithin time.Duration // how long a use can be taken back
}

// FraudLimit bounds how much is used how fast.
type FraudLimit struct {
	Of     LimitOf
	By     LimitBy
	AtMost int
	Within time.Duration
}

// LimitOf says what is counted.
type LimitOf string

// What is counted.
const (
	LimitRedemptions LimitOf = "redemptions" // rewards that points were held for
	LimitCaptures    LimitOf = "captures"    // uses at a till and by a tap
)

// LimitBy says whose are counted together.
type LimitBy string

// Whose are counted together.
const (
	LimitByCustomer LimitBy = "customer"
	LimitByDevice   LimitBy = "device"
	LimitByProgram  LimitBy = "program"
)

// Guesses bounds how many unknown codes somebody may ask for. Within is the machine's time: guessing is as fast as a machine.
type Guesses struct {
	AtMost int
	Within time.Duration
}

// What holds where the program does not say.
const (
	DefaultGuesses       = 10
	DefaultGuessesWithin = 10 * time.Minute
	DefaultReverseWithin = 24 * time.Hour
)

func (c *checker) fraud(n *node) {
	f := &c.prog.Fraud
	*f = Fraud{Guesses: Guesses{DefaultGuesses, DefaultGuessesWithin}, ReverseWithin: DefaultReverseWithin}
	if n == nil || !c.open(n, fraudGrammar) {
		return
	}
	if d := n.get("min_age"); d != nil {
		f.MinAge = c.duration(d)
	}
	if d := n.get("reverse_within"); d != nil {
		f.ReverseWithin = c.duration(d)
	}
	if g := n.get("guesses"); g != nil && c.open(g, guessesGrammar) {
		f.Guesses = Guesses{AtMost: int(c.integer(g.get("at_most"), 1)), Within: c.duration(g.get("within"))}
	}
	for _, item := range c.optional(n.get("limits")) {
		if !c.open(item, fraudLimitGrammar) {
			continue
		}
		l := FraudLimit{
			Of:     LimitOf(c.oneOf(item.get("of"), "of", words(LimitRedemptions, LimitCaptures)...)),
			By:     LimitBy(c.oneOf(item.get("by"), "by", words(LimitByCustomer, LimitByDevice, LimitByProgram)...)),
			AtMost: int(c.integer(item.get("at_most"), 1)), Within: c.duration(item.get("within")),
		}
		if l.Of == LimitRedemptions && l.By == LimitByDevice {
			c.at(item.get("by"), "a redemption has no device: only captures are limited by it")
		}
		f.Limits = append(f.Limits, l)
	}
}
