package dispatch

import (
	"encoding/json"
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// The keywords with a meaning of their own.
const (
	keywordStop   = "stop"
	keywordJoin   = "join"
	keywordYes    = "yes"
	keywordNo     = "no"
	keywordRedeem = "redeem"
	keywordTopics = "topics"
	keywordCancel = "cancel"

	answerOther = "other"
)

// Properties of message.received, and of the events that a message raises.
const (
	propMessage = "message" // our id of the inbound message
	propPayload = "payload" // what a button or a row sends back
	propLink    = "link"    // the link that the customer followed
)

// message finds what an inbound message is for, in this order: a stop; the run whose question it presses a button of or
// quotes; JOIN for an open opt-in; other keywords; the newest open ask; else the fallback.
func (r *routing) message() error {
	id, _ := r.event.Properties[propMessage].(string)
	m, err := r.tx.Message(id)
	if err != nil || m == nil {
		return err
	}
	if m.FirstText != nil {
		// It was edited before it was heard. What was said first counts, as it does when the edit comes later.
		first := *m
		first.Text, m = *m.FirstText, &first
	}
	payload, _ := r.event.Properties[propPayload].(string)
	word := r.word(m.Text, payload)
	if word == keywordStop {
		return r.saidStop(m, nil, nil)
	}
	if done, err := r.stops(m, payload); err != nil || done {
		return err
	}
	if m.Kind == typeEdit {
		return nil // what was a stop when it came, by the program of then
	}
	if err := r.clickedAd(m); err != nil {
		return err
	}
	if done, err := r.tapped(payload); err != nil || done {
		return err
	}
	asks, err := r.openAsks()
	if err != nil {
		return err
	}
	if m.ReplyTo != "" {
		quoted, err := r.tx.MessageByWamid(m.ReplyTo)
		if err != nil {
			return err
		}
		for _, a := range asks {
			if quoted != nil && quoted.RunID == a.run.ID {
				if answered, err := r.answer(a, m, word, payload); err != nil || answered {
					return err
				}
			}
		}
	}
	if r.customer.MutedUntil != nil && r.customer.MutedUntil.After(r.tx.Now) {
		return nil // a person has the conversation: what is said is said to them
	}
	echo, err := r.listen(m)
	if err != nil || echo && word == "" && payload == "" {
		return err
	}
	link := r.policy.LinkOf(m.Text)
	code, friend := r.policy.ReferralCode(m.Text)
	if friend {
		if _, err := attribute(r.tx, r.policy.Program, r.customer, code, sourceMessage, r.event.OccurredAt); err != nil {
			return err
		}
	}
	if link != nil || friend {
		word = keywordJoin
	}
	if word == keywordJoin {
		for _, a := range asks {
			if a.journey.Purpose == rules.PurposeConsent {
				if answered, err := r.answer(a, m, keywordYes, ""); err != nil || answered {
					return err
				}
			}
		}
	}
	if word != "" && word != keywordYes && word != keywordNo {
		return r.keyword(word, m, link)
	}
	if len(asks) > 0 && payload == "" {
		if answered, err := r.answer(asks[0], m, word, ""); err != nil || answered {
			return err
		}
	}
	return r.fallback(m)
}

// tapped does what a tap on a button or a row of ours asks for: a reward, its use, or to give one up. It answers false for any other.
func (r *routing) tapped(payload string) (bool, error) {
	if reward, ok := strings.CutPrefix(payload, rules.PayloadRedeem); ok {
		return true, r.chose(reward)
	}
	if grant, ok := strings.CutPrefix(payload, rules.PayloadCapture); ok {
		return true, r.tapsCapture(grant)
	}
	if redemption, ok := strings.CutPrefix(payload, cancelPayload); ok {
		return true, r.choseCancel(redemption)
	}
	return false, nil
}

// stops hears what else is a stop than the word alone: a row of the list of topics, or the word and a topic. A stop of something
// that is no topic is asked about, with the list. It answers whether the message was one of these.
func (r *routing) stops(m *punchcard.Message, payload string) (bool, error) {
	var listed *punchcard.Message
	if m.ReplyTo != "" {
		var err error
		if listed, err = r.tx.MessageByWamid(m.ReplyTo); err != nil {
			return false, err
		}
		if listed != nil && listed.CustomerID != r.customer.ID {
			listed = nil
		}
	}
	if topic, ok := strings.CutPrefix(payload, stopPayload); ok {
		return true, r.choseStop(topic, m, listed)
	}
	if topic, ok := strings.CutPrefix(payload, keepPayload); ok {
		return true, r.choseKeep(topic, m, listed)
	}
	switch topic, ok := r.policy.StopsTopic(m.Text); {
	case !ok || payload != "":
		return false, nil
	case topic == "":
		return true, r.offerStops()
	default:
		return true, r.saidStop(m, []string{topic}, nil)
	}
}

// word is the keyword that a message stands for, by the payload of what was pressed or by its text; "" for none.
func (r *routing) word(text, payload string) string {
	for _, k := range r.policy.Keywords {
		if payload != "" && k.Name == payload {
			return k.Name
		}
	}
	word, _ := r.policy.Keyword(text)
	return word
}

// ask is a run that waits for an answer.
type ask struct {
	run     *punchcard.Run
	journey *rules.Journey
}

// openAsks lists the customer's runs that wait for an answer, newest first.
func (r *routing) openAsks() ([]ask, error) {
	runs, err := r.tx.OpenRuns(r.customer.ID)
	if err != nil {
		return nil, err
	}
	var asks []ask
	for _, run := range runs {
		if run.Listener == nil {
			continue
		}
		_, j, err := r.d.fence.Catalog.Journey(r.ctx, run.Version, run.Journey)
		if err != nil {
			return nil, err
		}
		if j.Plan.Nodes[run.Listener.Node].Kind != rules.KindAnswer {
			continue
		}
		at := 0
		for at < len(asks) && asks[at].run.Listener.Since.After(run.Listener.Since) {
			at++
		}
		asks = append(asks[:at], append([]ask{{run, j}}, asks[at:]...)...)
	}
	return asks, nil
}

// answer tells a run the answer to its question, if it listens for it: the word, or anything else as other.
func (r *routing) answer(a ask, m *punchcard.Message, word, payload string) (bool, error) {
	if word == "" {
		word = payload
	}
	outcome := rules.Answer(word)
	if word == "" || !fence.Hears(a.journey, a.run, outcome) {
		outcome = rules.Answer(answerOther)
		if !fence.Hears(a.journey, a.run, outcome) {
			return false, nil
		}
	}
	a.run.Bound[punchcard.BoundQuestion] = punchcard.Ref{Kind: punchcard.RefMessage, ID: a.run.Listener.MessageID}
	a.run.Bound[punchcard.BoundAnswer] = punchcard.Ref{Kind: punchcard.RefMessage, ID: m.ID}
	if err := fence.Wake(r.tx, a.journey, a.run, outcome); err != nil {
		return false, err
	}
	return true, r.tx.SaveRun(a.run)
}

// keyword raises the keyword's event, and gives its quick reply.
func (r *routing) keyword(word string, m *punchcard.Message, link *rules.Link) error {
	properties := map[string]any{"text": m.Text, propMessage: m.ID}
	if link != nil {
		properties[propLink] = link.Name
	}
	err := fence.Raise(r.tx, r.customer.ID, punchcard.EventKeywordPrefix+word, properties, r.event.Depth)
	if err != nil {
		return err
	}
	if _, ok := r.policy.Replies[word]; ok {
		return r.reply(word, nil)
	}
	if len(r.policy.Entering(punchcard.EventKeywordPrefix+word)) > 0 {
		return nil
	}
	switch word {
	case keywordRedeem:
		return r.offerMenu()
	case keywordTopics:
		return r.offerStops()
	case keywordCancel:
		return r.saidCancel()
	default:
		return nil
	}
}

// reply answers the customer by the built-in journey: through the same fence, gate and record as any message. One for which
// there are no words is none. fill are pairs of what stands in our own words and what to put there.
func (r *routing) reply(kind string, menu *fence.Menu, fill ...string) error {
	if talks, err := r.talks(kind); err != nil || !talks {
		return err
	}
	words, err := r.wording(kind, fill...)
	if err != nil || words == "" {
		return err
	}
	return r.tell(kind, words, menu)
}

// wording is what the program, or Punchcard itself, says as a reply of a kind; "" for nothing.
func (r *routing) wording(kind string, fill ...string) (string, error) {
	env, err := r.env()
	if err != nil {
		return "", err
	}
	text, ok := r.policy.Replies[kind]
	if !ok {
		_, points, err := env.Own()
		if err != nil {
			return "", err
		}
		words := ownWords(kind, r.customer.Language, r.policy.Language, r.policy.Business, points.Balance)
		return strings.NewReplacer(fill...).Replace(words), nil
	}
	words, err := text.Render(r.customer.Language, env)
	if err != nil {
		return "", r.failed(err, "reply "+kind)
	}
	return words, nil
}

// tell begins the run of a reply.
func (r *routing) tell(kind, words string, menu *fence.Menu) error {
	entry := map[string]any{"text": words}
	if menu != nil {
		m, err := json.Marshal(menu)
		if err != nil {
			return err
		}
		entry[fence.MenuKey] = string(m)
	}
	_, err := fence.Begin(r.tx, r.policy.Program, rules.ReplyJourney(), r.customer, &punchcard.Run{
		Key: r.event.ID, EventID: r.event.ID, Entry: entry, EntryEvent: kind, Depth: r.event.Depth,
	})
	return err
}
