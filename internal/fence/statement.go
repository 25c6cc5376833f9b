package fence

import (
	"fmt"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Line is one line of a statement: what happened, in plain words, and where the account stood after it.
type Line struct {
	At      time.Time
	Text    string
	Kind    punchcard.LedgerKind
	Ref     string // the event, run, grant or customer that it was for
	Points  int64  // what came into the balance, or went out of it as a negative number; 0 for what only moved elsewhere
	Pending int64  // the same for what is earned and cannot be spent yet
	Held    int64
	Debt    int64
	Balance int64 // after it
	// Place is where the statement goes on after the line.
	Place store.Place
}

// Statement is a part of a customer's account: where it stood, what happened, and where it stood after that.
type Statement struct {
	Opening, Closing store.Sums // at the beginning and the end of the span
	Lines            []Line
	More             bool // there are further lines
}

// NewStatement reads what happened to a customer's points from a moment until before another, oldest first, after a place (zero: from the
// beginning). What time has done and nobody has written yet is on it as well. It writes nothing.
func NewStatement(tx *store.Tx, p *rules.Program, c *punchcard.Customer, from, until time.Time, after store.Place, limit int) (Statement, error) {
	var s Statement
	entries, err := tx.LedgerBetween(c.ID, from, until, after, limit+1)
	if err != nil {
		return s, err
	}
	if s.Opening, err = tx.SumsBefore(c.ID, store.Place{At: from}); err != nil {
		return s, err
	}
	if s.Closing, err = tx.SumsBefore(c.ID, store.Place{At: until}); err != nil {
		return s, err
	}
	if s.More = len(entries) > limit; s.More {
		entries = entries[:limit]
	}
	balance := s.Opening.Available
	if !after.At.IsZero() && len(entries) > 0 {
		before, err := tx.SumsBefore(c.ID, store.PlaceOf(entries[0]))
		if err != nil {
			return s, err
		}
		balance = before.Available
	}
	lines := &liner{tx: tx, p: p, c: c, lots: map[int64]*punchcard.PointsLot{}}
	for _, e := range entries {
		text, err := lines.text(e)
		if err != nil {
			return s, err
		}
		balance += e.Moves(punchcard.PointsAvailable)
		s.Lines = append(s.Lines, Line{
			At: e.At, Text: text, Kind: e.Kind, Ref: e.Ref, Points: e.Moves(punchcard.PointsAvailable), Pending: e.Moves(punchcard.PointsPending),
			Held: e.Moves(punchcard.PointsHeld), Debt: -e.Moves(punchcard.PointsDebt), Balance: balance, Place: store.PlaceOf(e),
		})
	}
	return s, nil
}

// liner says entries in words.
type liner struct {
	tx   *store.Tx
	p    *rules.Program
	c    *punchcard.Customer
	lots map[int64]*punchcard.PointsLot
}

func (l *liner) text(e punchcard.LedgerEntry) (string, error) {
	source, err := l.source(e)
	if err != nil {
		return "", err
	}
	switch e.Kind {
	case punchcard.LedgerEarn:
		if e.To == punchcard.PointsPending {
			return "Earned by " + source + ", to be spent later", nil
		}
		return "Earned by " + source, nil
	case punchcard.LedgerMature:
		return "Can be spent now: earned by " + source, nil
	case punchcard.LedgerExpire:
		return "Expired: earned by " + source, nil
	case punchcard.LedgerHold, punchcard.LedgerCapture, punchcard.LedgerRelease:
		reward, err := l.reward(e.Ref)
		if err != nil {
			return "", err
		}
		return map[punchcard.LedgerKind]string{
			punchcard.LedgerHold: "Set aside for ", punchcard.LedgerCapture: "Spent on ", punchcard.LedgerRelease: "Given back: not spent on ",
		}[e.Kind] + reward, nil
	case punchcard.LedgerReverse:
		if e.From == punchcard.PointsDebt {
			return "Owed: what earned them was undone, and they are not there", nil
		}
		return "Taken back: what earned them was undone", nil
	case punchcard.LedgerRepay:
		return "Paid towards what was owed", nil
	case punchcard.LedgerAdjust:
		what := "Given"
		switch e.From {
		case punchcard.PointsDebt:
			what = "Owed"
		case punchcard.PointsAvailable:
			what = "Taken"
		case punchcard.PointsOutside, punchcard.PointsPending, punchcard.PointsHeld: // given; the latter two are never adjusted
		}
		return fmt.Sprintf("%s by %s: %s", what, e.Author, e.Note), nil
	case punchcard.LedgerMerge:
		if e.From == punchcard.PointsOutside && e.To != punchcard.PointsDebt || e.From == punchcard.PointsDebt {
			return "Brought over from the customer's other account", nil
		}
		return "Brought over to the customer's other account", nil
	default:
		return string(e.Kind), nil
	}
}

// source says what earned the points of an entry.
func (l *liner) source(e punchcard.LedgerEntry) (string, error) {
	if e.LotID == nil {
		return "", nil
	}
	lot := l.lots[*e.LotID]
	if lot == nil {
		var err error
		if lot, err = l.tx.Lot(*e.LotID); err != nil || lot == nil {
			return "", err
		}
		l.lots[*e.LotID] = lot
	}
	switch {
	case lot.Source == punchcard.LotAdjusted:
		return "an adjustment", nil
	case strings.HasPrefix(lot.Ref, punchcard.PrefixGrant+"_"):
		reward, err := l.reward(lot.Ref)
		return "the reward " + reward, err
	default:
		return lot.Source, nil
	}
}

// reward is the title of the reward that a grant is of.
func (l *liner) reward(grant string) (string, error) {
	g, err := l.tx.Grant(grant)
	if err != nil || g == nil {
		return "a reward", err
	}
	if r := l.p.Rewards[g.Reward]; r != nil {
		if title, err := r.Title.Render(l.p.Language, &rules.Env{Program: l.p, Now: l.tx.Now}); err == nil {
			return title, nil
		}
	}
	return g.Reward, nil
}
