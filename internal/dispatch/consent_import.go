package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// ImportColumns are the columns of an import of consents, by their names in its first line. Those that need not be there come
// after `source`.
var ImportColumns = []string{
	"phone", "external_id", "topic", "standing", "occurred_at", "source", "channel", "wording", "language", "wording_version", "reference",
}

// importTopicAll in the column topic is a stop of everything.
const importTopicAll = "*"

// ImportStatus says what became of a line.
type ImportStatus string

// The statuses of a line.
const (
	ImportRecorded ImportStatus = "recorded" // it is in the log
	ImportRepeated ImportStatus = "repeated" // it was there already, from an earlier import
	ImportRefused  ImportStatus = "refused"  // and changed nothing; Err says why
)

// ImportLine says what became of one line of an import.
type ImportLine struct {
	Line   int // in the file, from 1; the heading is the first
	Status ImportStatus
	Err    *punchcard.Error
}

// ImportTotals counts the lines of an import.
type ImportTotals struct{ Recorded, Repeated, Refused int }

const (
	// importBatch is how many lines are taken in one transaction.
	importBatch = 100
	// maxImportLine bounds a line, in bytes.
	maxImportLine = 64 << 10
)

// ImportConsents takes over consents that were given elsewhere, with their evidence, from CSV with a heading (ImportColumns).
// by is who imports. Lines are judged by themselves, and reported in order; what was read before an error of the file's form
// stays recorded, and the same file can be given again: a line that was taken is not taken twice. With dryRun all is judged and
// nothing kept. A grant loses to every stop that happened after it, whichever is recorded first; a line that revokes ends runs, as
// a STOP does. The error is CodeInvalid for a file that cannot be read on, or is what report answered.
func (d *Dispatcher) ImportConsents(ctx context.Context, file io.Reader, by string, dryRun bool, report func(ImportLine) error) (ImportTotals, error) {
	var totals ImportTotals
	by = strings.TrimSpace(by)
	if by == "" || len(by) > maxName || !clean(by) {
		return totals, punchcard.Errorf(punchcard.CodeInvalid, "say who imports, in at most %d bytes", maxName).In("by")
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return totals, err
	}
	in, err := newImport(policy, file, by)
	if err != nil {
		return totals, err
	}
	for {
		batch, more := in.read(d.store.Clock().Now())
		lines, err := d.importBatch(ctx, policy, batch, dryRun)
		if err != nil {
			return totals, err
		}
		for _, l := range lines {
			switch l.Status {
			case ImportRecorded:
				totals.Recorded++
			case ImportRepeated:
				totals.Repeated++
			case ImportRefused:
				totals.Refused++
			}
			if err := report(l); err != nil {
				return totals, err
			}
		}
		if totals.Recorded > 0 {
			d.outbox.ring()
		}
		if in.err != nil {
			return totals, in.err
		}
		if !more {
			return totals, nil
		}
	}
}

// imported is a line that has been read.
type imported struct {
	line       int
	err        *punchcard.Error // it is refused before anyone is asked
	identities []punchcard.Identity
	fresh      punchcard.Customer
	customer   string
	everything bool
	entry      punchcard.ConsentEntry
	key        string
}

// importing reads a file.
type importing struct {
	policy  fence.Published
	csv     *csv.Reader
	source  *boundedLine
	columns map[string]int
	by      string
	err     error
}

func newImport(policy fence.Published, file io.Reader, by string) (*importing, error) {
	in := &importing{policy: policy, source: &boundedLine{r: file}, columns: map[string]int{}, by: by}
	in.csv = csv.NewReader(in.source)
	in.csv.ReuseRecord = true
	heading, err := in.csv.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "the file is empty: its first line names the columns (%s)", strings.Join(ImportColumns, ", ")).Because("no_heading")
		}
		return nil, unreadable(err)
	}
	for i, name := range heading {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if !slices.Contains(ImportColumns, name) {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "there is no column %q; there are %s", short(name), strings.Join(ImportColumns, ", ")).Because("unknown_column")
		}
		if _, twice := in.columns[name]; twice {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "the column %s is there twice", name).Because("unknown_column")
		}
		in.columns[name] = i
	}
	for _, name := range []string{"topic", "standing", "occurred_at", "source"} {
		if _, ok := in.columns[name]; !ok {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "the column %s is missing", name).Because("missing_column")
		}
	}
	_, phone := in.columns["phone"]
	_, external := in.columns["external_id"]
	if !phone && !external {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "a column that says who is missing: phone or external_id").Because("missing_column")
	}
	return in, nil
}

func unreadable(err error) error {
	if form, ok := errors.AsType[*csv.ParseError](err); ok {
		return punchcard.Errorf(punchcard.CodeInvalid, "line %d cannot be read as CSV: %s", form.StartLine, form.Err).Because("not_csv")
	}
	if errors.Is(err, errLongLine) {
		return punchcard.Errorf(punchcard.CodeInvalid, "%s", err).Because("not_csv")
	}
	return err
}

// read reads some lines. more tells that there are others, unless err says that the file cannot be read on.
func (in *importing) read(now time.Time) (lines []imported, more bool) {
	for len(lines) < importBatch {
		in.source.since = 0
		record, err := in.csv.Read()
		if errors.Is(err, io.EOF) {
			return lines, false
		}
		if errors.Is(err, csv.ErrFieldCount) {
			line, _ := in.csv.FieldPos(0)
			lines = append(lines, imported{line: line, err: punchcard.Errorf(punchcard.CodeInvalid, "the line has %d values, and the heading %d", len(record), len(in.columns))})
			continue
		}
		if err != nil {
			in.err = unreadable(err)
			return lines, false
		}
		line, _ := in.csv.FieldPos(0)
		l := imported{line: line}
		if err := in.line(record, &l, now); err != nil {
			l.err = err
		}
		lines = append(lines, l)
	}
	return lines, true
}

// line judges one line by itself.
func (in *importing) line(record []string, l *imported, now time.Time) *punchcard.Error {
	value := func(column string) string {
		if i, ok := in.columns[column]; ok {
			return strings.TrimSpace(record[i])
		}
		return ""
	}
	for column := range in.columns {
		if v := value(column); len(v) > maxEvidence || !cleanText(v) || !utf8.ValidString(v) {
			return punchcard.Errorf(punchcard.CodeInvalid, "at most %d bytes of text", maxEvidence).In(column)
		}
	}
	_, identities, country, err := checkReference(Reference{ExternalID: value("external_id"), Phone: value("phone")})
	if err != nil {
		e := asError(err)
		return punchcard.Errorf(punchcard.CodeInvalid, "%s", strings.ReplaceAll(e.Message, "customer.", "")).In(strings.TrimPrefix(e.Field, "customer."))
	}
	l.identities, l.fresh.Country = identities, country
	for _, n := range identities {
		if n.Kind == punchcard.IdentityPhone {
			l.fresh.Zone = punchcard.PhoneZone(n.Value)
		}
	}
	e := &l.entry
	e.Topic, e.Standing = value("topic"), punchcard.Standing(value("standing"))
	e.Source, e.Wording, e.WordingVersion, e.Reference = value("source"), value("wording"), value("wording_version"), value("reference")
	e.RecordedBy, e.Channel = in.by, punchcard.ConsentChannel(value("channel"))
	if e.Channel == "" {
		e.Channel = punchcard.ChannelImport
	}
	if tag := value("language"); tag != "" {
		parsed, err := language.Parse(tag)
		if err != nil {
			return punchcard.Errorf(punchcard.CodeInvalid, "%q is not a language; write it like en or da", short(tag)).In("language")
		}
		e.WordingLanguage = parsed.String()
	}
	if e.OccurredAt, err = in.moment(value("occurred_at"), e.Standing, now); err != nil {
		return asError(err)
	}
	l.fresh.Since, l.everything = e.OccurredAt, e.Topic == importTopicAll
	if err := in.evidence(l); err != nil {
		return err
	}
	l.key = importKey(l)
	return nil
}

// evidence refuses a line without what must stand behind it.
func (in *importing) evidence(l *imported) *punchcard.Error {
	e := l.entry
	switch e.Standing {
	case punchcard.StandingGranted, punchcard.StandingRefused, punchcard.StandingRevoked, punchcard.StandingExpired:
	default:
		return punchcard.Errorf(punchcard.CodeInvalid,
			"the standing is granted, refused, revoked or expired; who only asked to join is told of by an event").In("standing")
	}
	switch {
	case l.everything && e.Standing != punchcard.StandingRevoked:
		return punchcard.Errorf(punchcard.CodeInvalid, "only a revocation can be of everything: name the topic").In("topic")
	case !l.everything && in.policy.TopicTitle(e.Topic, "") == "":
		return punchcard.Errorf(punchcard.CodeInvalid, "the program has no topic %q", short(e.Topic)).In("topic").Because("unknown_topic")
	case l.everything && len(in.policy.Topics) == 0:
		return punchcard.Errorf(punchcard.CodeInvalid, "the program has no topics").In("topic").Because("unknown_topic")
	case !slices.Contains(punchcard.ConsentChannels, e.Channel):
		return punchcard.Errorf(punchcard.CodeInvalid, "%q is no channel; there are import, whatsapp, web, store, phone, api", short(string(e.Channel))).In("channel")
	case e.Source == "":
		return punchcard.Errorf(punchcard.CodeInvalid, "it does not say where it comes from").In("source").Because("no_evidence")
	}
	if e.Standing != punchcard.StandingGranted {
		return nil
	}
	for field, value := range map[string]string{"wording": e.Wording, "language": e.WordingLanguage, "reference": e.Reference} {
		if value == "" {
			return punchcard.Errorf(punchcard.CodeInvalid,
				"a grant needs its evidence: the wording that was agreed to, its language, and a reference to where the proof is kept").In(field).Because("no_evidence")
		}
	}
	return nil
}

// moment reads when it happened. Of a day alone, a grant counts from its beginning and everything else to its end, in the program's
// time: so a stop on the same day outweighs it.
func (in *importing) moment(text string, standing punchcard.Standing, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation(time.DateOnly, text, in.policy.Zone)
		if err != nil {
			return at, punchcard.Errorf(punchcard.CodeInvalid, "write when it happened like 2025-03-14T09:30:00Z or 2025-03-14").In("occurred_at")
		}
		if standing != punchcard.StandingGranted && !at.After(now) {
			// A day that is not over counts as now in the log. The line is the same all day.
			at, now = at.AddDate(0, 0, 1).Add(-time.Microsecond), at.AddDate(0, 0, 1)
		}
	}
	switch {
	case at.After(now.Add(futureSlack)):
		return at, punchcard.Errorf(punchcard.CodeInvalid, "it has not happened yet").In("occurred_at")
	case at.Year() < 1970:
		return at, punchcard.Errorf(punchcard.CodeInvalid, "it is before 1970").In("occurred_at")
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// importKey is the same for the same line, in whatever file and order of columns.
func importKey(l *imported) string {
	h := sha256.New()
	for _, n := range l.identities {
		fmt.Fprintf(h, "%s\x00%s\x00", n.Kind, n.Value)
	}
	e := l.entry
	for _, part := range []string{
		e.Topic, string(e.Standing), e.OccurredAt.Format(time.RFC3339Nano), e.Source, string(e.Channel), e.Wording, e.WordingLanguage, e.WordingVersion, e.Reference,
	} {
		fmt.Fprintf(h, "%s\x00", part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// errDryRun rolls back what was only tried.
var errDryRun = errors.New("nothing is kept")

// importBatch takes some lines, in one transaction.
func (d *Dispatcher) importBatch(ctx context.Context, policy fence.Published, batch []imported, dryRun bool) ([]ImportLine, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	var lines []ImportLine
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		lines = make([]ImportLine, len(batch))
		customers := map[string]*punchcard.Customer{}
		var names []punchcard.Identity
		for _, l := range batch {
			names = append(names, l.identities...)
		}
		if err := tx.LockNamed(nil, names); err != nil {
			return err
		}
		for i := range batch {
			l := &batch[i]
			lines[i] = ImportLine{Line: l.line, Status: ImportRefused, Err: l.err}
			if l.err != nil {
				continue
			}
			c, err := tx.Enroll(l.identities, l.fresh)
			if punchcard.CodeOf(err) == punchcard.CodeConflict {
				lines[i].Err = asError(err)
				continue
			}
			if err != nil {
				return err
			}
			l.customer, customers[c.ID] = c.ID, c
		}
		for _, id := range slices.Sorted(maps.Keys(customers)) {
			c, err := tx.LockCustomer(id)
			if err != nil {
				return err
			}
			customers[id] = c
		}
		for i := range batch {
			if lines[i].Err != nil {
				continue
			}
			status, refusal, err := d.importLine(ctx, tx, policy, customers[batch[i].customer], batch[i])
			if err != nil {
				return err
			}
			lines[i].Status, lines[i].Err = status, refusal
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return lines, err
}

// importLine takes one line.
func (d *Dispatcher) importLine(ctx context.Context, tx *store.Tx, policy fence.Published, c *punchcard.Customer, l imported) (ImportStatus, *punchcard.Error, error) {
	keys := []string{l.key}
	if l.everything {
		// It became a line for each topic that the program had then, and may have no more.
		standings, err := tx.Standings(c.ID)
		if err != nil {
			return "", nil, err
		}
		for topic := range standings {
			keys = append(keys, fence.ImportKeyOf(l.key, topic))
		}
	}
	known, err := tx.ConsentImported(keys...)
	if err != nil || known {
		return ImportRepeated, nil, err
	}
	if l.entry.Standing == punchcard.StandingRevoked {
		s := fence.Stopping{ConsentEntry: l.entry, Topics: []string{l.entry.Topic}}
		s.ImportKey = &l.key
		if l.everything {
			s.Topics = nil
		}
		_, err := d.fence.Stop(ctx, tx, policy.Program, c, s)
		return ImportRecorded, nil, err
	}
	entry := l.entry
	entry.CustomerID, entry.ImportKey = c.ID, &l.key
	err = tx.AddConsent(&entry)
	if errors.Is(err, store.ErrStoppedSince) {
		return ImportRefused, store.ErrStoppedSince, nil
	}
	return ImportRecorded, nil, err
}

// errLongLine is the error of a file one of whose lines has no end.
var errLongLine = fmt.Errorf("a line is longer than %d bytes", maxImportLine)

// boundedLine reads on only as long as what was read since the last line is bounded.
type boundedLine struct {
	r     io.Reader
	since int
}

func (b *boundedLine) Read(p []byte) (int, error) {
	if b.since > maxImportLine {
		return 0, errLongLine
	}
	n, err := b.r.Read(p[:min(len(p), 4096)])
	b.since += n
	return n, err
}
