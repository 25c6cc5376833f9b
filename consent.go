package punchcard

import (
	"cmp"
	"slices"
	"time"
)

// Standing is a customer's standing on a topic.
type Standing string

// The standings. StandingNone is that of a topic on which the log says nothing; unknown consent means no.
const (
	StandingNone      Standing = "none"
	StandingRequested Standing = "requested"
	StandingGranted   Standing = "granted"
	StandingRefused   Standing = "refused"
	StandingRevoked   Standing = "revoked"
	StandingExpired   Standing = "expired"
)

// ConsentChannel is the way by which a change of consent reached us.
type ConsentChannel string

// The channels.
const (
	ChannelWhatsApp ConsentChannel = "whatsapp" // the customer's own act in WhatsApp
	ChannelWeb      ConsentChannel = "web"      // the customer's own act on a page of ours, or, imported, of the business's
	ChannelAPI      ConsentChannel = "api"      // a backend told
	ChannelImport   ConsentChannel = "import"   // a list of consents that were given before
	ChannelStore    ConsentChannel = "store"    // imported: on paper or by word, in a shop
	ChannelPhone    ConsentChannel = "phone"    // imported: on the telephone
	ChannelRule     ConsentChannel = "rule"     // the program's own rule, such as an expiry
)

// ConsentChannels are the channels that an import may name.
var ConsentChannels = []ConsentChannel{ChannelImport, ChannelWhatsApp, ChannelWeb, ChannelStore, ChannelPhone, ChannelAPI}

// ConsentEntry is one line of the consent log: what changed a standing, with its evidence. Entries are never changed.
type ConsentEntry struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Topic      string
	Standing   Standing
	At         time.Time // when it was recorded
	OccurredAt time.Time // when it happened: the order in which entries count, whenever they came
	// Source is what brought it about: the name of an event, reply, stop, api.
	Source  string
	Channel ConsentChannel
	// Everything says that the customer revoked all there is, of which this is the line for one topic.
	Everything bool
	// Wording is what the customer was shown, with its language and the version of its text; empty where nothing was shown.
	Wording         string
	WordingLanguage string
	WordingVersion  string
	MessageID       string // our message that showed the wording
	ReplyID         string // the wamid of the customer's answer
	EventID         string // the backend's event
	RunID           string
	RecordedBy      string     // the API key or the person that imported or ordered it; empty where the customer or a rule did it
	Reference       string     // where evidence is kept outside: the number of a form, an address
	ImportKey       *string    // of an imported line: the same line is taken once
	ErasedAt        *time.Time // when what names the person was blanked, because they asked for it; see the migration
}

// ConsentState is a customer's present standing on a topic, derived from the log and kept in step with it.
type ConsentState struct {
	CustomerID string `gorm:"primaryKey"`
	Topic      string `gorm:"primaryKey"`
	Standing   Standing
	At         time.Time // when the entry that decides was recorded
	OccurredAt time.Time // when it happened
	EntryID    int64     // the entry that decides
}

// DeriveConsent reads a standing from the log: from all entries of one customer and one topic, in whatever order they came. The
// order in which they happened counts; at the same moment, the order in which they were recorded. It answers a state without
// an entry, StandingNone, for an empty log.
//
// What a revocation means is decided here, once:
//   - A grant that happened before it, or at the same moment, is over.
//   - A grant that answers a question of ours counts after it only if the customer themself has begun again in between: a YES to
//     an old question is none.
//   - A grant that brings its own evidence (an import, a backend's word) counts if it is younger.
//   - Being asked changes nothing after it, unless the customer themself asked.
func DeriveConsent(entries []ConsentEntry) ConsentState {
	log := slices.SortedFunc(slices.Values(entries), func(a, b ConsentEntry) int {
		return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(a.ID, b.ID))
	})
	now := ConsentState{Standing: StandingNone}
	var revoked time.Time
	for _, e := range log {
		if e.Standing == StandingRevoked {
			revoked = e.OccurredAt
		}
		if changesConsent(now.Standing, revoked, e) {
			now = ConsentState{
				CustomerID: e.CustomerID, Topic: e.Topic, Standing: e.Standing, At: e.At, OccurredAt: e.OccurredAt, EntryID: e.ID,
			}
		}
	}
	return now
}

// changesConsent tells whether an entry decides the standing from here on.
func changesConsent(standing Standing, revoked time.Time, e ConsentEntry) bool {
	switch e.Standing {
	case StandingRevoked:
		return true
	case StandingGranted:
		if e.MessageID == "" {
			return revoked.IsZero() || e.OccurredAt.After(revoked)
		}
		return standing != StandingRevoked
	case StandingRequested:
		return standing != StandingGranted && (standing != StandingRevoked || e.Channel == ChannelWhatsApp || e.Channel == ChannelWeb)
	case StandingRefused:
		return standing != StandingRevoked
	case StandingExpired:
		return standing == StandingRequested || standing == StandingGranted
	default:
		return false
	}
}
