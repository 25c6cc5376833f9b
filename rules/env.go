package rules

import "time"

// Env is what expressions and texts see at one moment. It is used by one goroutine at a time; making one is cheap, for the
// functions are asked only by an expression that names them.
type Env struct {
	Program  *Program
	Customer CustomerFacts
	Points   PointsFacts
	// Account reads Customer.Tier and Points when an expression first names what they are part of; nil: they are filled in.
	Account  func() (tier string, points PointsFacts, err error)
	Now      time.Time      // UTC
	Zone     *time.Location // the customer's; nil: the program's
	Language string         // the customer's, as chosen for this message; "": the program's

	// Consent is the customer's standing on a topic as a word; nil stands for none.
	Consent func(topic string) (string, error)
	// Times is how often an event came within the window that ends now; a window of 0 is the customer's whole life.
	Times func(event string, window time.Duration) (int, error)
	// Total is the sum of a property over the same.
	Total func(event, field string, window time.Duration) (float64, error)
	// Latest is the newest event's properties as Schema.Decode gives them; nil when there is none.
	Latest func(event string) (map[string]any, error)

	// Referral is the customer's own code, and the address by which a friend comes with it; that is "" where nobody has said the
	// business's number.
	Referral func() (code, link string, err error)
	// Unsubscribe is the address of the page on which the customer can stop; "" where there is none.
	Unsubscribe func() (string, error)

	Entry     map[string]any            // the properties of the event that started the run, as Schema.Decode gives them
	Original  map[string]any            // those of the event that it undoes
	Event     map[string]any            // those of the event that has just come
	Collected map[string]any            // of a collect: {"count": int}
	With      map[string]any            // what a step hands its template, by the name of the parameter
	WithTimes map[string]time.Time      // and of those that a template takes as a moment, when that is
	Bound     map[string]map[string]any // what `as` bound, as BoundSchema or a Call's Answers decodes it
	// Secrets are the values in Bound that are the customer's alone, and what stands for each where others may read it. Expressions
	// do not see it.
	Secrets map[string]string
	veiled  bool // what stands for the secrets is in their place: nothing of this is sent
}

// Own is the customer's tier and points. The error is that of Account.
func (e *Env) Own() (tier string, points PointsFacts, err error) {
	if e.Account == nil {
		return e.Customer.Tier, e.Points, nil
	}
	return e.Account()
}

// filled is the Env with tier and points filled in.
func (e *Env) filled() (*Env, error) {
	tier, points, err := e.Own()
	if err != nil {
		return nil, err
	}
	in := *e
	in.Customer.Tier, in.Points, in.Account = tier, points, nil
	return &in, nil
}

// zone is the customer's time zone, or else the program's.
func (e *Env) zone() *time.Location {
	switch {
	case e != nil && e.Zone != nil:
		return e.Zone
	case e != nil && e.Program != nil && e.Program.Zone != nil:
		return e.Program.Zone
	default:
		return time.UTC
	}
}

// CustomerFacts are what an expression sees of a customer.
type CustomerFacts struct {
	ID, Tier, Language, Country string
	Labels                      []string
	AgeDays                     int            // how many days the customer has been known
	Attributes                  map[string]any // as Program.Attributes.Decode gives them
}

// PointsFacts are what an expression sees of a customer's points.
type PointsFacts struct{ Balance, Earned, Pending, Expiring int64 }
