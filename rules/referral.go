package rules

import (
	"strings"
	"time"

	"punchcard"
)

// Referral is how customers bring friends: a friend sends Word and the code of who brought them, and counts once they do On.
type Referral struct {
	Word    string
	On      string
	Where   *Expr
	Timeout time.Duration // how long after they came it may be; 0: any time
	AtMost  int           // how many friends of one customer count within Within; 0: any number
	Within  time.Duration
}

// Text is what a friend sends: the word and the code.
func (r *Referral) Text(code string) string { return r.Word + " " + code }

// referralName is a customer's own code and link. They are made only for an expression that names them.
const referralName = "referral"

var (
	referralType   = record(fieldOf("code", TypeString), fieldOf("link", TypeString))
	referralSchema = Schema{fields: []Field{
		fieldOf(propReferral, TypeString), fieldOf("role", TypeString), fieldOf("referrer_id", TypeString), fieldOf("friend_id", TypeString),
	}}
	// referralEvents are built in where a program has `referral`; elsewhere they are names like any other.
	referralEvents = map[string]bool{punchcard.EventReferralCompleted: true, punchcard.EventReferralReversed: true}
)

// propReferral is by what the reversal of a referral names it.
const propReferral = "referral_id"

func (p *Program) ownReferrals(event string) bool { return p.Referral != nil && referralEvents[event] }

// ReferralCode is the code of a message that is the program's word and a code, as people type it and as phones correct it.
func (p *Program) ReferralCode(text string) (code string, ok bool) {
	if p.Referral == nil || len(text) > maxString {
		return "", false
	}
	rest, found := strings.CutPrefix(unspaced(text), unspaced(p.Referral.Word))
	code = strings.ToUpper(rest)
	return code, found && punchcard.IsReferralCode(code)
}

// ReferralProperty is the property of an event by which a backend says whose code a friend came with.
const ReferralProperty = "referral_code"

// referral reads how customers bring friends.
func (c *checker) referral(n *node) {
	if n == nil || !c.open(n, referralGrammar) {
		return
	}
	event, schema := c.event(n.get("on"))
	r := c.prog.Referral
	r.Word, r.On = c.str(n.get("word")), event
	r.Where = c.expr(n.get("where"), c.scope().with("event", eventType(event, schema)), wantBool)
	if d := n.get("timeout"); d != nil {
		r.Timeout = c.duration(d)
	}
	r.AtMost, r.Within = c.limit(n)
	if referralEvents[event] {
		c.at(n.get("on"), "a referral cannot be what makes one count")
	}
	at := n.get("word")
	word, isWord := c.prog.Keyword(r.Word)
	topic, stops := c.prog.StopsTopic(r.Text("AAAAAAAA"))
	switch {
	case at == nil || r.Word == "":
	case len([]rune(r.Word)) > maxLinkText/2:
		c.at(at, "the word has at most %d characters", maxLinkText/2)
	case unspaced(r.Word) == "":
		c.at(at, "%q says nothing", r.Word)
	case isWord:
		c.at(at, "%q stands for %s already", r.Word, word)
	case stops || topic != "":
		c.at(at, "%q reads like a stop", r.Word)
	}
	if len(c.words("join")) == 0 {
		c.at(n, "referral needs the keyword join: it is what a friend says who comes by it")
	}
	// What a referral earned is taken back as a refund's is: by the ledger.
	c.prog.Reverse = append(c.prog.Reverse, Reverse{On: punchcard.EventReferralReversed, Of: punchcard.EventReferralCompleted, Match: propReferral})
}

// reversible warns where nothing takes a referral back.
func (c *checker) reversible(n *node) {
	if n == nil || c.prog.Referral == nil || c.prog.Referral.On == "" {
		return
	}
	for _, r := range c.prog.Reverse {
		if r.Of == c.prog.Referral.On {
			return
		}
	}
	c.warn(n.position(), "nothing undoes %s, so no referral is ever taken back: say what does under points.reverse", c.prog.Referral.On)
}
