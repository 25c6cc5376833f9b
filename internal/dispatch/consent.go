package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// optIn records that the event asks to join topics, and raises consent.requested for those that may be asked about.
func (r *routing) optIn() error {
	topics, err := r.optInTopics()
	if err != nil || len(topics) == 0 {
		return err
	}
	entry, own, err := r.optInEvidence()
	if err != nil {
		return err
	}
	return r.request(topics, entry, own)
}

// optInTopics are what the event asks for: by the link that the customer followed, if that names any, else by the program's opt_in.
func (r *routing) optInTopics() ([]string, error) {
	var topics []string
	for _, o := range r.policy.OptIns {
		if o.On != r.event.Name {
			continue
		}
		if o.Where != nil {
			env, err := r.env()
			if err != nil {
				return nil, err
			}
			ok, err := o.Where.Bool(env)
			if err != nil || !ok {
				if err := r.failed(err, "opt_in"); err != nil {
					return nil, err
				}
				continue
			}
		}
		for _, t := range o.Topics {
			if !slices.Contains(topics, t) {
				topics = append(topics, t)
			}
		}
	}
	if link := r.link(); link != nil && len(link.Topics) > 0 {
		return link.Topics, nil
	}
	return topics, nil
}

// link is the link by which the event came, nil for none, and for one that the program has no more.
func (r *routing) link() *rules.Link {
	name, _ := r.event.Properties[propLink].(string)
	return r.policy.Link(name)
}

// clickedAd raises that a message came from an advertisement. What opt_in says of that is done when it is routed, after the message.
func (r *routing) clickedAd(m *punchcard.Message) error {
	if len(m.Referral) == 0 {
		return nil
	}
	var ad map[string]any
	if err := json.Unmarshal(m.Referral, &ad); err != nil {
		return fmt.Errorf("what is kept of the ad: %w", err)
	}
	properties := map[string]any{propMessage: m.ID, "source_id": ""}
	for _, name := range []string{"source_id", "source_type", "source_url", "headline", "body", "ctwa_clid"} {
		if text, ok := ad[name].(string); ok && text != "" {
			properties[name] = text
		}
	}
	return fence.Raise(r.tx, r.customer.ID, punchcard.EventAdClicked, properties, r.event.Depth)
}

// optInEvidence is what stands behind the event, and whether it is the customer's own act.
func (r *routing) optInEvidence() (entry punchcard.ConsentEntry, own bool, err error) {
	entry = punchcard.ConsentEntry{
		Source: r.event.Name, Channel: punchcard.ChannelAPI, EventID: r.event.ID, OccurredAt: r.event.OccurredAt,
	}
	if !strings.HasPrefix(r.event.Name, punchcard.EventKeywordPrefix) && r.event.Name != punchcard.EventAdClicked {
		return entry, false, nil
	}
	entry.Channel = punchcard.ChannelWhatsApp
	if link := r.link(); link != nil {
		entry.Source = sourceLink + link.Name
	}
	if id, ok := r.event.Properties[propMessage].(string); ok {
		m, err := r.tx.Message(id)
		if err != nil {
			return entry, false, err
		}
		cite(&entry, m)
	}
	if ad, ok := r.event.Properties["source_id"].(string); ok && r.event.Name == punchcard.EventAdClicked {
		entry.Reference = ad
	}
	return entry, true, nil
}

// cite makes a message of the customer's the evidence of an entry.
func cite(entry *punchcard.ConsentEntry, m *punchcard.Message) {
	if m == nil {
		return
	}
	if m.Wamid != nil {
		entry.ReplyID = *m.Wamid
	}
	entry.OccurredAt = m.CreatedAt
	if m.SaidAt != nil {
		entry.OccurredAt = *m.SaidAt
	}
}

// request records a request for topics, and raises consent.requested for those that may be asked about now. own says that it is
// the customer's own act.
func (r *routing) request(topics []string, evidence punchcard.ConsentEntry, own bool) error {
	standings, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return err
	}
	if !own && r.stopped(standings) {
		return nil // also for a topic that the program got since
	}
	added := map[string]int64{}
	for _, t := range topics {
		if !r.mayAsk(standings[t], own) {
			continue
		}
		entry := evidence
		entry.CustomerID, entry.Topic, entry.Standing = r.customer.ID, t, punchcard.StandingRequested
		if err := r.tx.AddConsent(&entry); err != nil {
			return err
		}
		added[t] = entry.ID
	}
	if len(added) == 0 {
		return nil
	}
	if standings, err = r.tx.Standings(r.customer.ID); err != nil {
		return err
	}
	// What was asked for before a later stop is history: it asks nothing any more.
	topics = slices.DeleteFunc(slices.Clone(topics), func(t string) bool { return added[t] == 0 || standings[t].EntryID != added[t] })
	if len(topics) == 0 {
		return nil
	}
	return fence.Raise(r.tx, r.customer.ID, punchcard.EventConsentRequested, map[string]any{"topics": topics, "source": evidence.Source}, r.event.Depth)
}

// stopped tells whether the customer has said stop, and has not begun again since: the business may not ask them anything.
func (r *routing) stopped(standings map[string]punchcard.ConsentState) bool {
	revoked := false
	for _, s := range standings {
		switch s.Standing {
		case punchcard.StandingRevoked:
			revoked = true
		case punchcard.StandingGranted, punchcard.StandingRequested:
			return false
		default:
		}
	}
	return revoked
}

// mayAsk tells whether the customer may be asked about a topic now. own says that it is their own act. After silence or a
// refusal the business waits for ask_again_after; after a stop only the customer can begin again.
func (r *routing) mayAsk(s punchcard.ConsentState, own bool) bool {
	switch s.Standing {
	case "", punchcard.StandingNone, punchcard.StandingExpired:
		return true
	case punchcard.StandingGranted:
		return false
	case punchcard.StandingRevoked:
		return own
	case punchcard.StandingRequested, punchcard.StandingRefused:
		return own || r.policy.AskAgainAfter > 0 && r.tx.Now.Sub(s.At) >= r.policy.AskAgainAfter
	default:
		return false
	}
}

// Sources of an entry in the consent log that are no event's name.
const (
	sourceStop        = "stop"                 // a STOP word
	sourceStopList    = "stop.list"            // a row of the list of topics
	sourceKeepList    = "keep.list"            // a row of the list that is offered after a stop
	sourcePreference  = "whatsapp.preferences" // what the customer set in WhatsApp itself
	sourceUnsubscribe = "unsubscribe"          // the page to unsubscribe, or one click
	sourceLink        = "link."                // and the link's name
)

// saidStop revokes what the customer has said stop to, nil topics for everything, and confirms it once. listed is our message
// whose list they chose from, nil for a word.
func (r *routing) saidStop(m *punchcard.Message, topics []string, listed *punchcard.Message) error {
	s := fence.Stopping{Topics: topics}
	s.Source, s.Channel = sourceStop, punchcard.ChannelWhatsApp
	if listed != nil {
		s.Source = sourceStopList
		s.Wording, s.WordingLanguage, s.MessageID = listed.Text, listed.Language, listed.ID
	}
	cite(&s.ConsentEntry, m)
	before, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return err
	}
	changed, err := r.d.fence.Stop(r.ctx, r.tx, r.policy.Program, r.customer, s)
	if err != nil || !changed {
		return err
	}
	r.known = nil
	if topics == nil && r.policy.OnStop == rules.OnStopOfferTopics {
		return r.offerTopics(replyKeep, keepPayload, func(topic string) bool {
			return before[topic].Standing == punchcard.StandingGranted
		})
	}
	if topics == nil {
		return r.reply(keywordStop, nil)
	}
	return r.reply(replyStopTopic, nil, "{topics}", strings.Join(r.titles(topics), "; "))
}

// titles are topics in the customer's language.
func (r *routing) titles(topics []string) []string {
	titles := make([]string, len(topics))
	for i, t := range topics {
		titles[i] = r.policy.TopicTitle(t, r.customer.Language)
	}
	return titles
}

// Payloads of the rows in a list of topics, before the topic's name.
const (
	stopPayload   = "stop:"
	keepPayload   = "keep:"
	allTopics     = "*" // no topic's name
	maxRowDetails = 72  // WhatsApp's bound, in characters
)

// offerTopics answers with a list of the topics for which show holds. Choosing one to stop stops it, or everything; choosing one
// to keep begins it again.
func (r *routing) offerTopics(kind, payload string, show func(topic string) bool) error {
	menu := &fence.Menu{Button: inLanguage(topicsButton, r.customer.Language, r.policy.Language)}
	for _, t := range r.policy.Topics {
		if len(menu.Rows) == maxRows-1 || !show(t.Name) {
			continue
		}
		title := r.policy.TopicTitle(t.Name, r.customer.Language)
		row := fence.MenuRow{ID: payload + t.Name, Title: cut(title, maxRowTitle)}
		if row.Title != title {
			row.Description = cut(title, maxRowDetails)
		}
		menu.Rows = append(menu.Rows, row)
	}
	if len(menu.Rows) == 0 {
		if kind == replyKeep {
			return r.reply(keywordStop, nil)
		}
		return r.reply(replyNoTopics, nil)
	}
	if payload == stopPayload {
		menu.Rows = append(menu.Rows, fence.MenuRow{ID: stopPayload + allTopics, Title: inLanguage(rowEverything, r.customer.Language, r.policy.Language)})
	}
	return r.reply(kind, menu)
}

// cut shortens a text for a list.
func cut(text string, limit int) string {
	if t := []rune(text); len(t) > limit {
		return string(t[:limit-1]) + "…"
	}
	return text
}

// offerStops lists the topics that the customer can stop.
func (r *routing) offerStops() error {
	standings, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return err
	}
	return r.offerTopics(replyTopics, stopPayload, func(topic string) bool {
		return standings[topic].Standing == punchcard.StandingGranted || standings[topic].Standing == punchcard.StandingRequested
	})
}

// choseStop stops the topic of a row. One that the program has no more is stopped all the same.
func (r *routing) choseStop(topic string, m, listed *punchcard.Message) error {
	if topic == allTopics {
		return r.saidStop(m, nil, listed)
	}
	if r.policy.TopicTitle(topic, "") == "" {
		return r.offerStops()
	}
	return r.saidStop(m, []string{topic}, listed)
}

// choseKeep begins a topic again that the customer chose from the list which was offered after their stop: they asked for it, and
// were shown what they get.
func (r *routing) choseKeep(topic string, m, listed *punchcard.Message) error {
	standings, err := r.tx.Standings(r.customer.ID)
	title := r.policy.TopicTitle(topic, r.customer.Language)
	if err != nil || title == "" || listed == nil || standings[topic].Standing != punchcard.StandingRevoked {
		return err
	}
	entry := punchcard.ConsentEntry{
		CustomerID: r.customer.ID, Topic: topic, Source: sourceKeepList, Channel: punchcard.ChannelWhatsApp,
		Wording: listed.Text + "\n\n" + title, WordingLanguage: listed.Language, MessageID: listed.ID,
	}
	cite(&entry, m)
	for _, standing := range []punchcard.Standing{punchcard.StandingRequested, punchcard.StandingGranted} {
		line := entry
		line.Standing = standing
		err := r.tx.AddConsent(&line)
		if punchcard.ReasonOf(err) == punchcard.ReasonOf(store.ErrStoppedSince) {
			return nil // a later stop was faster
		}
		if err != nil {
			return err
		}
	}
	r.known = nil
	return r.reply(replyKept, nil, "{topics}", title)
}

// Revocation is a stop that somebody orders in a customer's name.
type Revocation struct {
	Customer   string   // our id
	Topics     []string // nil: everything
	Source     string   // what brought it about, in a word or two; "": api
	Channel    punchcard.ConsentChannel
	OccurredAt time.Time // zero: now
	Wording    string    // what the customer was shown, or said
	Reference  string    // where further evidence is kept
	By         string    // who orders it; "" for the customer themself
}

// Revoke revokes consent in a customer's name, and ends the runs that wrote by it. It answers the standings by topic, and whether
// anything changed. The errors are CodeNotFound for a customer or a topic that is not there, and CodeInvalid for evidence that
// is no text.
func (d *Dispatcher) Revoke(ctx context.Context, in Revocation) (standings map[string]punchcard.ConsentState, changed bool, err error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, t := range in.Topics {
		if policy.TopicTitle(t, "") == "" {
			return nil, false, punchcard.Errorf(punchcard.CodeNotFound, "the program has no topic %q", short(t)).In("topics").Because("unknown_topic")
		}
	}
	if in.Source == "" {
		in.Source = "api"
	}
	for field, text := range map[string]string{"source": in.Source, "wording": in.Wording, "reference": in.Reference, "by": in.By} {
		if len(text) > maxEvidence || !cleanText(text) {
			return nil, false, punchcard.Errorf(punchcard.CodeInvalid, "%s is at most %d bytes of text", field, maxEvidence).In(field)
		}
	}
	s := fence.Stopping{Topics: in.Topics, ConsentEntry: punchcard.ConsentEntry{
		Source: in.Source, Channel: in.Channel, OccurredAt: in.OccurredAt, Wording: in.Wording, Reference: in.Reference, RecordedBy: in.By,
	}}
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(in.Customer)
		if err != nil {
			return err
		}
		if changed, err = d.fence.Stop(ctx, tx, policy.Program, c, s); err != nil {
			return err
		}
		standings, err = tx.Standings(c.ID)
		return err
	})
	if err == nil {
		d.outbox.ring()
	}
	return standings, changed, err
}

// maxEvidence bounds each part of the evidence of a change of consent, in bytes.
const maxEvidence = 4000

// cleanText is like clean, and takes line breaks.
func cleanText(s string) bool {
	return clean(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(s))
}
