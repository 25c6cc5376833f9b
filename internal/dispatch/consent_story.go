package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// ConsentStory is one customer's consent log as people read it: what they were shown, what they answered, when, by which message,
// in the order in which it happened.
type ConsentStory struct {
	Business, Program string
	Customer          string
	Names             []string // phone +45…, external id c-17
	MadeAt            string
	Zone              string
	Chapters          []StoryChapter
	Now               []StoryStanding
}

// StoryChapter is one thing that happened.
type StoryChapter struct {
	When     string
	Title    string   // The customer agreed
	Topics   []string // with their titles
	Facts    []string // how, by what, recorded when
	Shown    string   // what the customer was shown; "" for nothing
	ShownAs  string   // in which language and version, by which message, when
	Answer   string   // what the customer wrote or tapped
	AnswerAs string   // by which message
}

// StoryStanding is how a topic stands now.
type StoryStanding struct{ Topic, Standing, Since string }

// maxStory bounds how many lines of the log a story tells.
const maxStory = 10_000

// ConsentStory reads a customer's story.
func (d *Dispatcher) ConsentStory(ctx context.Context, customer string) (*ConsentStory, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	view := d.store.View(ctx)
	c, err := view.Customer(customer)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no customer with that id").In("customer")
	}
	t := &teller{policy: policy, view: view, zone: fence.Zone(policy.Program, c)}
	s := &ConsentStory{
		Business: policy.Business, Program: policy.Name, Customer: c.ID, MadeAt: t.moment(view.Now), Zone: t.zone.String(),
	}
	names, err := view.Identities(c.ID)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		s.Names = append(s.Names, strings.ReplaceAll(string(n.Kind), "_", " ")+" "+n.Value)
	}
	log, err := view.Consents(c.ID, 0, maxStory)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(log, func(a, b punchcard.ConsentEntry) int {
		return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(a.ID, b.ID))
	})
	for len(log) > 0 {
		n := 1
		for n < len(log) && together(log[0], log[n]) {
			n++
		}
		chapter, err := t.chapter(log[:n])
		if err != nil {
			return nil, err
		}
		s.Chapters = append(s.Chapters, chapter)
		log = log[n:]
	}
	states, err := view.Standings(c.ID)
	if err != nil {
		return nil, err
	}
	for _, topic := range policy.Topics {
		state, ok := states[topic.Name]
		if !ok {
			s.Now = append(s.Now, StoryStanding{t.topic(topic.Name), "nothing is known, which means no", ""})
			continue
		}
		s.Now = append(s.Now, StoryStanding{t.topic(topic.Name), string(state.Standing), t.moment(state.OccurredAt)})
		delete(states, topic.Name)
	}
	for _, topic := range slices.Sorted(maps.Keys(states)) {
		if _, now := policy.Topic(topic); !now {
			s.Now = append(s.Now, StoryStanding{t.topic(topic), string(states[topic].Standing), t.moment(states[topic].OccurredAt)})
		}
	}
	return s, nil
}

// together tells whether two lines of the log are one thing that happened, to two topics.
func together(a, b punchcard.ConsentEntry) bool {
	return a.OccurredAt.Equal(b.OccurredAt) && a.Standing == b.Standing && a.Source == b.Source && a.MessageID == b.MessageID &&
		a.ReplyID == b.ReplyID && a.EventID == b.EventID && a.Wording == b.Wording && a.Reference == b.Reference && a.RecordedBy == b.RecordedBy &&
		a.Channel == b.Channel
}

// teller puts a log into words.
type teller struct {
	policy fence.Published
	view   *store.Tx
	zone   *time.Location
}

func (t *teller) moment(at time.Time) string {
	return at.In(t.zone).Format("2 January 2006 15:04:05 MST")
}

func (t *teller) topic(name string) string {
	if title := t.policy.TopicTitle(name, t.policy.Language); title != "" {
		return name + " (" + title + ")"
	}
	return name + " (the program has it no more)"
}

// What happened, in words, by the standing.
var storyTitles = map[punchcard.Standing]string{
	punchcard.StandingRequested: "Consent was asked for",
	punchcard.StandingGranted:   "The customer agreed",
	punchcard.StandingRefused:   "The customer said no",
	punchcard.StandingRevoked:   "The customer stopped it",
	punchcard.StandingExpired:   "The consent ran out",
}

func (t *teller) chapter(entries []punchcard.ConsentEntry) (StoryChapter, error) {
	e := entries[0]
	c := StoryChapter{When: t.moment(e.OccurredAt), Title: storyTitles[e.Standing]}
	if e.Standing == punchcard.StandingRequested && e.Channel == punchcard.ChannelWhatsApp {
		c.Title = "The customer asked to join"
	}
	for _, line := range entries {
		c.Topics = append(c.Topics, t.topic(line.Topic))
	}
	c.Facts = append(c.Facts, "How: "+storySource(e))
	if e.EventID != "" && e.Channel == punchcard.ChannelAPI {
		c.Facts = append(c.Facts, "The business's event: "+e.EventID)
	}
	if e.Everything {
		c.Facts = append(c.Facts, "It was said of everything")
	}
	if e.Reference != "" {
		c.Facts = append(c.Facts, "Further evidence: "+e.Reference)
	}
	if e.RecordedBy != "" {
		c.Facts = append(c.Facts, "Recorded by: "+e.RecordedBy)
	}
	if late := e.At.Sub(e.OccurredAt); late > time.Minute {
		c.Facts = append(c.Facts, "Recorded at "+t.moment(e.At))
	}
	if e.ErasedAt != nil {
		c.Facts = append(c.Facts, "What named the customer was erased at "+t.moment(*e.ErasedAt))
	}
	if err := t.shown(&c, e); err != nil {
		return c, err
	}
	return c, t.answered(&c, e)
}

// shown tells what the customer saw.
func (t *teller) shown(c *StoryChapter, e punchcard.ConsentEntry) error {
	if e.Wording == "" {
		return nil
	}
	c.Shown = e.Wording
	var as []string
	if e.WordingLanguage != "" {
		as = append(as, "in the language "+e.WordingLanguage)
	}
	if e.WordingVersion != "" {
		as = append(as, "version "+e.WordingVersion)
	}
	if e.MessageID != "" {
		m, err := t.view.Message(e.MessageID)
		if err != nil {
			return err
		}
		as = append(as, "by our message "+e.MessageID)
		if m != nil && m.HandedAt != nil {
			as = append(as, "sent at "+t.moment(*m.HandedAt))
		}
		if m != nil && m.Wamid != nil {
			as = append(as, "WhatsApp's id "+*m.Wamid)
		}
	}
	c.ShownAs = strings.Join(as, ", ")
	return nil
}

// answered tells what the customer wrote or tapped.
func (t *teller) answered(c *StoryChapter, e punchcard.ConsentEntry) error {
	if e.ReplyID == "" {
		return nil
	}
	c.AnswerAs = "WhatsApp's id " + e.ReplyID
	m, err := t.view.MessageByWamid(e.ReplyID)
	if err != nil || m == nil {
		return err
	}
	if c.Answer = m.Text; m.FirstText != nil {
		c.Answer = *m.FirstText // what it said when it counted; it was edited since
	}
	said := m.CreatedAt
	if m.SaidAt != nil {
		said = *m.SaidAt
	}
	c.AnswerAs = "at " + t.moment(said) + ", " + c.AnswerAs
	return nil
}

// storySource puts a source into words.
func storySource(e punchcard.ConsentEntry) string {
	by := map[string]string{
		"reply": "by an answer in WhatsApp to the message below", sourceStop: "by a STOP in WhatsApp", sourceStopList: "by choosing from the list of topics in WhatsApp",
		sourceKeepList: "by choosing what to keep from the list that answered the STOP", sourcePreference: "by a setting in WhatsApp itself",
		fence.SourceMarketingOff: "WhatsApp refused our message, because the customer has stopped marketing there", sourceUnsubscribe: "on the page to unsubscribe",
		punchcard.EventAdClicked: "by writing to us from an advertisement", "api": "told by the business's own system",
	}[e.Source]
	if link, ok := strings.CutPrefix(e.Source, sourceLink); ok {
		by = fmt.Sprintf("by following the link or QR code %q", link)
	}
	if word, ok := strings.CutPrefix(e.Source, punchcard.EventKeywordPrefix); ok {
		by = fmt.Sprintf("by writing the keyword %q in WhatsApp", word)
	}
	if by == "" {
		by = e.Source + ", by " + map[punchcard.ConsentChannel]string{
			punchcard.ChannelAPI: "the business's own system", punchcard.ChannelRule: "the program's rule", punchcard.ChannelStore: "word or paper in a shop",
			punchcard.ChannelPhone: "telephone", punchcard.ChannelWeb: "a web page", punchcard.ChannelWhatsApp: "WhatsApp", punchcard.ChannelImport: "a list that was imported",
		}[e.Channel]
	}
	return by
}

// Text writes the story as plain text.
func (s *ConsentStory) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The consent of customer %s\n", s.Customer)
	if len(s.Names) > 0 {
		fmt.Fprintf(&b, "Known as: %s\n", strings.Join(s.Names, "; "))
	}
	fmt.Fprintf(&b, "Business: %s, program %s\nMade at: %s. Times are those of %s.\n", s.Business, s.Program, s.MadeAt, s.Zone)
	if len(s.Chapters) == 0 {
		b.WriteString("\nThe log has nothing about this customer, which means no.\n")
	}
	for i, c := range s.Chapters {
		fmt.Fprintf(&b, "\n%d. %s\n   %s: %s\n", i+1, c.When, c.Title, strings.Join(c.Topics, "; "))
		for _, f := range c.Facts {
			fmt.Fprintf(&b, "   %s\n", f)
		}
		if c.Shown != "" {
			shownAs := ""
			if c.ShownAs != "" {
				shownAs = " (" + c.ShownAs + ")"
			}
			fmt.Fprintf(&b, "   What was shown%s:\n%s\n", shownAs, quoted(c.Shown))
		}
		if c.AnswerAs != "" {
			fmt.Fprintf(&b, "   What the customer said (%s):\n%s\n", c.AnswerAs, quoted(c.Answer))
		}
	}
	if len(s.Now) > 0 {
		b.WriteString("\nAs it stands now\n")
	}
	for _, n := range s.Now {
		fmt.Fprintf(&b, "   %s: %s", n.Topic, n.Standing)
		if n.Since != "" {
			fmt.Fprintf(&b, ", since %s", n.Since)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func quoted(text string) string {
	return "      > " + strings.ReplaceAll(strings.ReplaceAll(text, "\r", ""), "\n", "\n      > ")
}

// HTML writes the story as a page that needs nothing from elsewhere.
func (s *ConsentStory) HTML(w io.Writer) error { return storyPage.Execute(w, s) }

var storyPage = template.Must(template.New("story").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The consent of customer {{.Customer}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
blockquote{margin:.3rem 0;padding:.4rem .8rem;border-left:3px solid #777;white-space:pre-wrap}
li{margin:1.2rem 0}small{color:#555}td,th{text-align:left;padding:.2rem 1rem .2rem 0}</style>
<h1>The consent of customer {{.Customer}}</h1>
<p>{{range .Names}}{{.}}<br>{{end}}{{.Business}}, program {{.Program}}.<br>Made at {{.MadeAt}}. Times are those of {{.Zone}}.</p>
{{if not .Chapters}}<p>The log has nothing about this customer, which means no.</p>{{end}}
<ol>{{range .Chapters}}
<li><strong>{{.When}}: {{.Title}}</strong><br>{{range .Topics}}{{.}}<br>{{end}}
{{range .Facts}}<small>{{.}}</small><br>{{end}}
{{if .Shown}}What was shown{{if .ShownAs}} <small>({{.ShownAs}})</small>{{end}}<blockquote>{{.Shown}}</blockquote>{{end}}
{{if .AnswerAs}}What the customer said <small>({{.AnswerAs}})</small><blockquote>{{.Answer}}</blockquote>{{end}}</li>{{end}}
</ol>
{{if .Now}}<h2>As it stands now</h2><table><tr><th>Topic<th>Standing<th>Since</tr>
{{range .Now}}<tr><td>{{.Topic}}<td>{{.Standing}}<td>{{.Since}}</tr>{{end}}</table>{{end}}
</html>
`))
