package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Incoming is an event as a backend sends it.
type Incoming struct {
	ID         string
	Name       string
	Customer   Reference
	Profile    punchcard.Profile
	OccurredAt time.Time // zero: now
	Properties map[string]any
}

// Reference names a customer by one or several identities.
type Reference struct {
	ID         string // ours
	ExternalID string
	Phone      string
}

// Rejection says why one event of several was not taken.
type Rejection struct {
	Index int
	Err   *punchcard.Error
}

// Receipt says what became of events that came together.
type Receipt struct {
	Accepted   int
	Duplicates int
	Rejected   []Rejection // by index
}

// futureSlack is how far in the future an event's time may lie: clocks differ.
const futureSlack = 5 * time.Minute

// taken is an event that has passed the checks, with the customer it names.
type taken struct {
	index      int
	event      punchcard.Event
	identities []punchcard.Identity
	country    string
	zone       string // of the customer's phone; "" when unknown
	own        string // our id of the customer, when the event names them by it
}

// Ingest checks events, and stores those that are sound; they are committed when it returns. Each is judged by itself. An error
// means that none is known to be stored: send all again, those that were stored count as duplicates then.
func (d *Dispatcher) Ingest(ctx context.Context, incoming []Incoming) (Receipt, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return Receipt{}, err
	}
	var receipt Receipt
	reject := func(index int, err error) {
		receipt.Rejected = append(receipt.Rejected, Rejection{index, asError(err)})
	}
	sound := make([]taken, 0, len(incoming))
	now := d.store.Clock().Now()
	for i, in := range incoming {
		t, err := check(policy, in, now)
		if err != nil {
			reject(i, err)
			continue
		}
		t.index = i
		sound = append(sound, t)
	}
	// Who they are is settled in a short transaction of its own, so that no event waits on another customer's locks.
	// Those who are known by all that the event names them by, which is nearly always so, need no writing.
	if err := known(d.store.View(ctx), sound); err != nil {
		return Receipt{}, err
	}
	var problems []Rejection
	var joined []int // places in sound: the names are two customers', who may be one person
	strangers := func(tx *store.Tx) error {
		problems, joined = nil, nil
		if err := lockStrangers(tx, sound); err != nil {
			return err
		}
		for i := range sound {
			if sound[i].event.CustomerID != "" {
				continue
			}
			err := identify(tx, &sound[i])
			if errors.Is(err, store.ErrTwoCustomers) {
				joined = append(joined, i)
				continue
			}
			if code := punchcard.CodeOf(err); code == punchcard.CodeNotFound || code == punchcard.CodeConflict {
				problems = append(problems, Rejection{sound[i].index, asError(err)})
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	if slices.ContainsFunc(sound, func(t taken) bool { return t.event.CustomerID == "" }) {
		if err := d.store.Update(ctx, strangers); err != nil {
			return Receipt{}, err
		}
	}
	for _, i := range joined {
		if err := d.join(ctx, policy, &sound[i]); punchcard.CodeOf(err) == punchcard.CodeConflict {
			problems = append(problems, Rejection{sound[i].index, asError(err)})
		} else if err != nil {
			return Receipt{}, err
		}
	}
	sound = slices.DeleteFunc(sound, func(t taken) bool {
		return slices.ContainsFunc(problems, func(p Rejection) bool { return p.Index == t.index })
	})
	receipt.Rejected = append(receipt.Rejected, problems...)
	slices.SortFunc(receipt.Rejected, func(a, b Rejection) int { return a.Index - b.Index })
	// Places in the queue are locked in the order of customers, so that two batches cannot wait for each other. The order of
	// one customer's events stays.
	slices.SortStableFunc(sound, func(a, b taken) int { return strings.Compare(a.event.CustomerID, b.event.CustomerID) })
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		receipt.Accepted, receipt.Duplicates = 0, 0
		for i := range sound {
			e := sound[i].event
			fresh, err := tx.AddEvent(&e)
			if err != nil {
				return err
			}
			if fresh {
				receipt.Accepted++
			} else {
				receipt.Duplicates++
			}
		}
		return nil
	})
	if err != nil {
		return Receipt{}, err
	}
	if receipt.Accepted > 0 {
		d.events.ring()
	}
	return receipt, nil
}

// lockStrangers locks who gets names by events that are not settled yet, so far as they are there.
func lockStrangers(tx *store.Tx, events []taken) error {
	var ids []string
	var names []punchcard.Identity
	for _, t := range events {
		if t.event.CustomerID != "" || len(t.identities) == 0 {
			continue
		}
		if t.own != "" {
			ids = append(ids, t.own)
		}
		names = append(names, t.identities...)
	}
	return tx.LockNamed(ids, names)
}

func asError(err error) *punchcard.Error {
	if e, ok := err.(*punchcard.Error); ok { //nolint:errorlint // these come straight from this package's checks
		return e
	}
	return punchcard.Errorf(punchcard.CodeInvalid, "%s", err.Error())
}

// check judges an event by itself.
func check(p fence.Published, in Incoming, now time.Time) (taken, error) {
	if err := name(in.ID, "id"); err != nil {
		return taken{}, err
	}
	schema, ok := p.Schema(in.Name)
	if !ok {
		if in.Name == "" {
			return taken{}, punchcard.Errorf(punchcard.CodeInvalid, "the event has no name").In("name")
		}
		hint := ""
		if near := p.NearestEvent(in.Name); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return taken{}, punchcard.Errorf(punchcard.CodeInvalid, "the program declares no event %q%s", short(in.Name), hint).In("name")
	}
	if p.Builtin(in.Name) {
		return taken{}, punchcard.Errorf(punchcard.CodeInvalid, "%s is raised by Punchcard itself and cannot be sent", in.Name).In("name")
	}
	t := taken{event: punchcard.Event{ID: in.ID, Name: in.Name, Profile: in.Profile, OccurredAt: in.OccurredAt.UTC().Truncate(time.Microsecond)}}
	var err error
	if t.event.Properties, err = schema.Normalize(in.Properties); err != nil {
		return taken{}, valueError(err, "properties")
	}
	if err := bounded("properties", t.event.Properties); err != nil {
		return taken{}, err
	}
	switch {
	case in.OccurredAt.IsZero():
		t.event.OccurredAt = now
	case in.OccurredAt.After(now.Add(futureSlack)):
		return taken{}, punchcard.Errorf(punchcard.CodeInvalid, "it has not happened yet: occurred_at is after now (%s)", now.Format(time.RFC3339)).In("occurred_at")
	case in.OccurredAt.Year() < 1970:
		return taken{}, punchcard.Errorf(punchcard.CodeInvalid, "occurred_at is before 1970").In("occurred_at")
	}
	if t.event.Profile, err = checkProfile(p.Program, in.Profile); err != nil {
		return taken{}, err
	}
	t.own, t.identities, t.country, err = checkReference(in.Customer)
	for _, n := range t.identities {
		if n.Kind == punchcard.IdentityPhone {
			t.zone = punchcard.PhoneZone(n.Value)
		}
	}
	return t, err
}

// checkReference reads how a customer is named.
func checkReference(ref Reference) (own string, identities []punchcard.Identity, country string, err error) {
	if ref.ID != "" {
		if !punchcard.IsID(punchcard.PrefixCustomer, ref.ID) {
			return "", nil, "", punchcard.Errorf(punchcard.CodeInvalid, "customer.id is not one of ours; use customer.external_id for your own").In("customer.id")
		}
		own = ref.ID
	}
	if ref.ExternalID != "" {
		if err := name(ref.ExternalID, "customer.external_id"); err != nil {
			return "", nil, "", err
		}
		identities = append(identities, punchcard.Identity{Kind: punchcard.IdentityExternal, Value: ref.ExternalID})
	}
	if ref.Phone != "" {
		phone, region, err := punchcard.ParsePhone(ref.Phone)
		if err != nil {
			return "", nil, "", asError(err).In("customer.phone")
		}
		country = region
		identities = append(identities, punchcard.Identity{Kind: punchcard.IdentityPhone, Value: phone})
	}
	if own == "" && len(identities) == 0 {
		return "", nil, "", punchcard.Errorf(punchcard.CodeInvalid, "say who the customer is: give id, external_id or phone").In("customer")
	}
	return own, identities, country, nil
}

// known fills in the customers of events whose every name is known, and is one person's.
func known(tx *store.Tx, events []taken) error {
	var names []punchcard.Identity
	for _, t := range events {
		names = append(names, t.identities...)
	}
	owners, err := tx.Owners(names)
	if err != nil {
		return err
	}
	for i := range events {
		t := &events[i]
		if t.own != "" || len(t.identities) == 0 {
			continue
		}
		owner := owners[[2]string{string(t.identities[0].Kind), t.identities[0].Value}]
		for _, n := range t.identities {
			if owners[[2]string{string(n.Kind), n.Value}] != owner {
				owner = ""
			}
		}
		t.event.CustomerID = owner
	}
	return nil
}

// identify finds or makes the customer an event names, and adds names that are new.
func identify(tx *store.Tx, t *taken) error {
	if t.own != "" {
		c, err := tx.Customer(t.own)
		if err != nil {
			return err
		}
		if c == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "there is no customer with that id").In("customer.id")
		}
		t.event.CustomerID = c.ID
		if len(t.identities) == 0 {
			return nil // nothing is added, and no lock waited for
		}
		// A merge in this instant would leave what is added with who they are no more.
		if c, err = tx.LockCustomer(c.ID); err != nil {
			return err
		}
		t.event.CustomerID = c.ID
		if err := tx.Fits(c, t.identities); err != nil {
			return err
		}
		if err := tx.LearnRegion(c, t.country, t.zone); err != nil {
			return err
		}
		return tx.AddIdentities(c, t.identities)
	}
	c, err := tx.Enroll(t.identities, punchcard.Customer{
		Name: t.event.Profile.Name, Language: t.event.Profile.Language, Timezone: t.event.Profile.Timezone, Country: t.country,
		Zone: cmp.Or(t.event.Profile.Timezone, t.zone), Since: t.event.OccurredAt,
	})
	if err != nil {
		return err
	}
	t.event.CustomerID = c.ID
	return nil
}

// join makes one customer of the two whom a backend names as one, where that can be no mistake about two people: one of them is
// known by the backend's ids only, the other by WhatsApp's names only. The error is ErrTwoCustomers otherwise: a person decides.
func (d *Dispatcher) join(ctx context.Context, policy fence.Published, t *taken) error {
	return d.store.Update(ctx, func(tx *store.Tx) error {
		ids, err := tx.Named(t.own, t.identities)
		if err != nil {
			return err
		}
		if len(ids) > 2 {
			return store.ErrTwoCustomers
		}
		if len(ids) == 2 {
			if _, _, err := tx.LockToMerge(ids[0], ids[1]); err != nil {
				return err
			}
			same, err := tx.SameByBackend(ids[0], ids[1])
			if err != nil {
				return err
			}
			if !same {
				return store.ErrTwoCustomers
			}
			c, err := d.fence.Merge(ctx, tx, policy.Program, ids[0], ids[1], "")
			if err != nil {
				return err
			}
			d.log.InfoContext(ctx, "a backend said that two customers are one person", "one", ids[0], "other", ids[1], "stays", c.ID)
		}
		return identify(tx, t)
	})
}

// maxName bounds what a person is called, in bytes.
const maxName = 200

func checkProfile(p *rules.Program, in punchcard.Profile) (punchcard.Profile, error) {
	if len(in.Name) > maxName || !clean(in.Name) {
		return in, punchcard.Errorf(punchcard.CodeInvalid, "a name is at most %d bytes of text", maxName).In("customer.name")
	}
	if in.Language != "" {
		tag, err := language.Parse(in.Language)
		if err != nil {
			return in, punchcard.Errorf(punchcard.CodeInvalid, "%q is not a language; write it like en or da", short(in.Language)).In("customer.language")
		}
		in.Language = tag.String()
	}
	if in.Timezone != "" {
		if _, err := time.LoadLocation(in.Timezone); err != nil || in.Timezone == "Local" {
			return in, punchcard.Errorf(punchcard.CodeInvalid, "%q is not a time zone; write it like Europe/Copenhagen", short(in.Timezone)).In("customer.timezone")
		}
	}
	if len(in.Attributes) == 0 {
		in.Attributes = nil
		return in, nil
	}
	attributes, err := p.Attributes.NormalizePartial(in.Attributes)
	if err != nil {
		return in, valueError(err, "customer.attributes")
	}
	in.Attributes = attributes
	return in, nil
}

// valueError puts the place of a wrong value below the part of the request that it stands in.
func valueError(err error, under string) *punchcard.Error {
	e := punchcard.Errorf(punchcard.CodeInvalid, "%s", err.Error())
	if v, ok := err.(*rules.ValueError); ok { //nolint:errorlint // Normalize answers it unwrapped
		e.Message = v.Message
		if v.Path != "" {
			under += "." + v.Path
		}
	}
	return e.In(under)
}

// maxNumber bounds the numbers of an event, below and above zero, so that many of them can be summed.
const maxNumber = 1e12

// bounded refuses an event whose properties, in canonical form, hold a number beyond the bounds.
func bounded(path string, value any) error {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if err := bounded(path+"."+name, v[name]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			if err := bounded(fmt.Sprintf("%s[%d]", path, i), item); err != nil {
				return err
			}
		}
	default:
		if n, ok := number(v); ok && math.Abs(n) > maxNumber {
			return punchcard.Errorf(punchcard.CodeInvalid, "%s is too large: a number is at most 1,000,000,000,000 below or above zero", path).In(path)
		}
	}
	return nil
}

// name checks a name that a backend has given something.
func name(s, field string) error {
	switch {
	case s == "":
		return punchcard.Errorf(punchcard.CodeInvalid, "%s is missing", field).In(field)
	case len(s) > punchcard.MaxExternalID:
		return punchcard.Errorf(punchcard.CodeInvalid, "%s is longer than %d bytes", field, punchcard.MaxExternalID).In(field)
	case !clean(s):
		return punchcard.Errorf(punchcard.CodeInvalid, "%s has characters that are no text", field).In(field)
	default:
		return nil
	}
}

// clean tells whether s is text that a database keeps: valid UTF-8 without control characters.
func clean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// short cuts what somebody sent for an error's text.
func short(s string) string {
	if r := []rune(strings.ToValidUTF8(s, "�")); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
