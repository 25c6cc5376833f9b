package dispatch

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

// ExportColumns are the columns of an export of the consent log. An import takes those that it has too.
var ExportColumns = []string{
	"id", "customer_id", "external_id", "phone", "topic", "standing", "occurred_at", "recorded_at", "source", "channel", "everything",
	"wording", "language", "wording_version", "message_id", "reply_id", "reply", "event_id", "run_id", "recorded_by", "reference", "erased_at",
}

// exportPage is how many lines are read at a time.
const exportPage = 500

// ExportConsents writes the consent log as CSV, in the order of recording: a customer's, or everyone's where customer is empty. It
// keeps a page in memory at most.
func (d *Dispatcher) ExportConsents(ctx context.Context, customer string, to io.Writer) error {
	w := csv.NewWriter(to)
	if err := w.Write(ExportColumns); err != nil {
		return err
	}
	view := d.store.View(ctx)
	last := int64(0)
	for {
		var rows []punchcard.ConsentEntry
		var err error
		if customer != "" {
			rows, err = view.Consents(customer, last, exportPage)
		} else {
			rows, err = view.AllConsents(last, exportPage)
		}
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			w.Flush()
			return w.Error()
		}
		last = rows[len(rows)-1].ID
		names, replies, err := exportNames(view, rows)
		if err != nil {
			return err
		}
		for _, e := range rows {
			if err := w.Write(exportLine(e, names[e.CustomerID], replies[e.ReplyID])); err != nil {
				return err
			}
		}
	}
}

// exportNames reads who the customers of some lines are, and what they answered.
func exportNames(view *store.Tx, rows []punchcard.ConsentEntry) (map[string][]punchcard.Identity, map[string]string, error) {
	seen := map[string]bool{}
	var customers, wamids []string
	for _, e := range rows {
		if !seen[e.CustomerID] {
			seen[e.CustomerID] = true
			customers = append(customers, e.CustomerID)
		}
		if e.ReplyID != "" && !seen[e.ReplyID] {
			seen[e.ReplyID] = true
			wamids = append(wamids, e.ReplyID)
		}
	}
	identities, err := view.IdentitiesOf(customers)
	if err != nil {
		return nil, nil, err
	}
	names := map[string][]punchcard.Identity{}
	for _, n := range identities {
		names[n.CustomerID] = append(names[n.CustomerID], n)
	}
	replies, err := view.TextsOf(wamids)
	return names, replies, err
}

func exportLine(e punchcard.ConsentEntry, names []punchcard.Identity, reply string) []string {
	erased := ""
	if e.ErasedAt != nil {
		erased = e.ErasedAt.Format(time.RFC3339Nano)
	}
	return []string{
		strconv.FormatInt(e.ID, 10), e.CustomerID, nameOf(names, punchcard.IdentityExternal), nameOf(names, punchcard.IdentityPhone), e.Topic,
		string(e.Standing), e.OccurredAt.Format(time.RFC3339Nano), e.At.Format(time.RFC3339Nano), inert(e.Source), string(e.Channel),
		strconv.FormatBool(e.Everything), inert(e.Wording), e.WordingLanguage, inert(e.WordingVersion), e.MessageID, e.ReplyID, inert(reply),
		inert(e.EventID), e.RunID, inert(e.RecordedBy), inert(e.Reference), erased,
	}
}

// nameOf is the name of a kind that a customer got first.
func nameOf(names []punchcard.Identity, kind punchcard.IdentityKind) string {
	for _, n := range names {
		if n.Kind == kind {
			return n.Value
		}
	}
	return ""
}

// inert keeps a spreadsheet from reading somebody's words as a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
