package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// TemplateBook is the account's list of templates at WhatsApp; Account is one.
type TemplateBook interface {
	ListTemplates(ctx context.Context) ([]whatsapp.TemplateInfo, error)
	CreateTemplate(ctx context.Context, spec whatsapp.TemplateSpec) (whatsapp.TemplateInfo, error)
	DeleteTemplateByID(ctx context.Context, id, name string) error
	// Sample is WhatsApp's handle of what an address leads to, for a header of that format.
	Sample(ctx context.Context, format rules.HeaderFormat, address string) (string, error)
}

// What an account holds at WhatsApp. Source: Meta's page on templates.
const (
	templatesAnHour     = 100  // creations
	templatesUnverified = 250  // of a portfolio that Meta has not verified
	templatesVerified   = 6000 // of one that it has, with an approved display name
)

// TemplateState is one wording of a template: what the program says and what WhatsApp has.
type TemplateState struct {
	punchcard.WhatsAppTemplate

	Drift []string // how what WhatsApp has differs from the text; only of a fresh listing
	Runs  int64    // of a leftover: how many live runs may still send it
	Ours  bool     // of a leftover: a version of the program made it
}

// TemplateReport is how a program's templates stand.
type TemplateReport struct {
	Version   int // of the program; 0: one that is not published
	Templates []TemplateState
	// Leftovers are at WhatsApp, and the program has them no more: older wordings, and what others made there.
	Leftovers []TemplateState
	Submitted int      // how many wordings were new to WhatsApp
	Refused   []string // those that WhatsApp does not take, each with its words for why
	Unsent    int      // how many wordings wait for the next hour
	Notes     []string // what a person should know
}

// wording names one wording at WhatsApp.
type wording struct{ name, language string }

// wanted is a wording that a version of the program sends.
type wanted struct {
	template *rules.Template
	current  bool // of the newest program
	live     bool // a live run may send it
	runs     int64
}

// Templates tells how the newest program's templates stand, as far as it is known here.
func (d *Dispatcher) Templates(ctx context.Context) (*TemplateReport, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	return d.report(ctx, policy.Version, policy.Program)
}

// Program is the newest published program.
func (d *Dispatcher) Program(ctx context.Context) (*rules.Program, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	return policy.Program, err
}

func (d *Dispatcher) report(ctx context.Context, version int, p *rules.Program) (*TemplateReport, error) {
	rows, err := d.store.View(ctx).WhatsAppTemplates()
	if err != nil {
		return nil, err
	}
	known := map[wording]punchcard.WhatsAppTemplate{}
	for _, r := range rows {
		known[wording{r.Name, r.Language}] = r
	}
	report := &TemplateReport{Version: version}
	for w, t := range wordings(p) {
		row, ok := known[w]
		if !ok {
			row = punchcard.WhatsAppTemplate{Name: w.name, Language: w.language, Template: t.Name, Status: punchcard.TemplateMissing, Declared: t.Category}
		}
		report.Templates = append(report.Templates, TemplateState{WhatsAppTemplate: row})
	}
	slices.SortFunc(report.Templates, byTemplate)
	return report, nil
}

func byTemplate(a, b TemplateState) int {
	return cmp.Or(strings.Compare(a.Template, b.Template), strings.Compare(a.Language, b.Language), strings.Compare(a.Name, b.Name))
}

// wordings are a program's templates in each of their languages.
func wordings(p *rules.Program) map[wording]*rules.Template {
	all := map[wording]*rules.Template{}
	for _, t := range p.Templates {
		for _, language := range t.Languages() {
			all[wording{t.WireName(), language}] = t
		}
	}
	return all
}

// PushTemplates submits what WhatsApp does not have of a program yet, published or about to be, and takes over how all of it
// stands. What WhatsApp refuses stands in the report and keeps nothing else back.
func (d *Dispatcher) PushTemplates(ctx context.Context, book TemplateBook, p *rules.Program) (*TemplateReport, error) {
	wants, err := d.wants(ctx, p)
	if err != nil {
		return nil, err
	}
	listed, err := d.listTemplates(ctx, book, wants)
	if err != nil {
		return nil, err
	}
	report := &TemplateReport{}
	missing := missingOf(p, listed)
	total := len(listed) + len(missing)
	handles := map[sampleKey]string{}
	for i, w := range missing {
		t := wants[w].template
		wire, err := withSamples(ctx, book, t.Wire(w.language), handles)
		if err != nil {
			report.Refused = append(report.Refused, fmt.Sprintf("%s (%s) without the sample that its reviewers see: %s", t.Name, w.language, err))
			continue
		}
		made, err := book.CreateTemplate(ctx, templateSpec(wire))
		switch {
		case err == nil:
			report.Submitted++
			if err := d.absorb(ctx, w, wants[w], made); err != nil {
				return nil, err
			}
		case whatsapp.IsDuplicateTemplate(err):
			report.Notes = append(report.Notes, fmt.Sprintf("%s (%s) is being deleted at WhatsApp, or somebody else has just made it there", t.Name, w.language))
		case tooMany(err):
			report.Unsent = len(missing) - i
		default:
			refusal, sure := refusalOf(err)
			if !sure {
				return nil, fmt.Errorf("create template %s in %s at WhatsApp: %w", t.Name, w.language, err)
			}
			report.Refused = append(report.Refused, fmt.Sprintf("%s (%s): %s", t.Name, w.language, refusal))
		}
		if report.Unsent > 0 {
			report.Notes = append(report.Notes, fmt.Sprintf(
				"WhatsApp takes %d new templates an hour: %d wait. Push again in an hour; what would send them is held meanwhile.",
				templatesAnHour, report.Unsent))
			break
		}
	}
	if report.Submitted > 0 {
		if _, err := d.listTemplates(ctx, book, wants); err != nil { // what was reviewed at once
			return nil, err
		}
	}
	if total > templatesUnverified {
		report.Notes = append(report.Notes, fmt.Sprintf(
			"the account has %d templates: WhatsApp lets it hold %d, or %d when the business is verified. punchcard templates pull --prune deletes those that nothing sends.",
			total, templatesUnverified, templatesVerified))
	}
	states, err := d.report(ctx, 0, p)
	if err != nil {
		return nil, err
	}
	report.Templates = states.Templates
	return report, nil
}

// missingOf are the wordings of a program that WhatsApp does not have, in order.
func missingOf(p *rules.Program, listed map[wording]whatsapp.TemplateInfo) []wording {
	var missing []wording
	for w := range wordings(p) {
		if _, ok := listed[w]; !ok {
			missing = append(missing, w)
		}
	}
	slices.SortFunc(missing, func(a, b wording) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.language, b.language))
	})
	return missing
}

// refusalOf is WhatsApp's words for why it does not take a template; false for an error that says nothing about the template.
func refusalOf(err error) (string, bool) {
	var e *whatsapp.Error
	if !errors.As(err, &e) || e.Class != whatsapp.Template && e.Class != whatsapp.Bug {
		return "", false
	}
	if e.Details != "" { // it quotes the template at most, which is no customer's
		return e.Details, true
	}
	return e.Error(), true
}

// wants are the wordings that any published version sends, and p's.
func (d *Dispatcher) wants(ctx context.Context, p *rules.Program) (map[wording]wanted, error) {
	view := d.store.View(ctx)
	versions, err := view.Programs()
	if err != nil {
		return nil, err
	}
	open, err := view.CountOpen()
	if err != nil {
		return nil, err
	}
	wants := map[wording]wanted{}
	for _, v := range versions {
		program, err := d.fence.Catalog.Program(ctx, v.Version)
		if err != nil {
			d.log.WarnContext(ctx, "a version of the program cannot be read: its templates are not known", "version", v.Version, "error", err)
			continue
		}
		var runs int64
		for _, byVersion := range open {
			runs += byVersion[v.Version]
		}
		for w, t := range wordings(program) {
			known := wants[w]
			wants[w] = wanted{template: t, live: known.live || runs > 0, runs: known.runs + runs}
		}
	}
	for w, t := range wordings(p) {
		wants[w] = wanted{template: t, current: true, live: true, runs: wants[w].runs}
	}
	return wants, nil
}

// listTemplates lists what WhatsApp has, and takes over how the program's own stand.
func (d *Dispatcher) listTemplates(ctx context.Context, book TemplateBook, wants map[wording]wanted) (map[wording]whatsapp.TemplateInfo, error) {
	infos, err := book.ListTemplates(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the templates at WhatsApp: %w", err)
	}
	listed := map[wording]whatsapp.TemplateInfo{}
	for _, info := range infos {
		w := wording{info.Name, strings.ReplaceAll(info.Language, "-", "_")}
		listed[w] = info
		if want, ok := wants[w]; ok {
			if err := d.absorb(ctx, w, want, info); err != nil {
				return nil, err
			}
		}
	}
	rows, err := d.store.View(ctx).WhatsAppTemplates()
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		w := wording{row.Name, row.Language}
		if _, there := listed[w]; there || row.Status == punchcard.TemplateMissing {
			continue
		}
		gone := whatsapp.TemplateInfo{TemplateSpec: whatsapp.TemplateSpec{Category: row.Category}, ID: row.WhatsAppID, Status: "DELETED"}
		if err := d.absorb(ctx, w, wants[w], gone); err != nil {
			return nil, err
		}
	}
	// From now on what is not known here is not there.
	return listed, d.store.Update(ctx, func(tx *store.Tx) error { return tx.MirrorTemplates() })
}

// absorb takes over what WhatsApp says of a wording, and lets what waits for it go on.
func (d *Dispatcher) absorb(ctx context.Context, w wording, want wanted, info whatsapp.TemplateInfo) error {
	free := false
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		t, err := tx.LockWhatsAppTemplate(w.name, w.language)
		if err != nil {
			return err
		}
		fresh := t == nil
		if fresh {
			t = &punchcard.WhatsAppTemplate{Name: w.name, Language: w.language, Status: punchcard.TemplatePending, Since: tx.Now}
		}
		before := *t
		if want.template != nil {
			t.Template, t.Declared = want.template.Name, want.template.Category
		}
		reason := info.RejectedReason
		if strings.EqualFold(reason, "NONE") {
			reason = ""
		}
		if strings.EqualFold(info.Status, string(t.Status)) && reason == "" {
			reason = t.Reason // a webhook has said more
		}
		if !setStatus(tx, t, info.Status, reason) {
			d.log.WarnContext(ctx, "a template has a status that is not known here", "template", w.name, "status", info.Status)
		}
		t.WhatsAppID = cmp.Or(info.ID, t.WhatsAppID)
		t.Category = cmp.Or(strings.ToLower(info.Category), t.Category)
		t.Quality = cmp.Or(readQuality(string(info.Quality)), t.Quality)
		free = t.Status.Holds() == ""
		changed := fresh || t.Status != before.Status
		moved := fresh || t.Category != before.Category
		switch {
		case fresh:
			err = tx.AddWhatsAppTemplate(t)
		case *t != before:
			err = tx.SaveWhatsAppTemplate(t)
		}
		if err == nil && changed {
			err = tx.TemplateAlert(t)
		}
		if err == nil && moved {
			err = categoryAlert(tx, t, "")
		}
		return err
	})
	if err != nil || !free {
		return err
	}
	return d.wakeForTemplate(ctx, w.name, w.language)
}

// PullTemplates takes over how the newest program's templates stand at WhatsApp, and tells where what is there differs from the
// text, and what is there that the program does not have.
func (d *Dispatcher) PullTemplates(ctx context.Context, book TemplateBook) (*TemplateReport, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	wants, err := d.wants(ctx, policy.Program)
	if err != nil {
		return nil, err
	}
	listed, err := d.listTemplates(ctx, book, wants)
	if err != nil {
		return nil, err
	}
	report, err := d.report(ctx, policy.Version, policy.Program)
	if err != nil {
		return nil, err
	}
	for i := range report.Templates {
		s := &report.Templates[i]
		w := wording{s.Name, s.Language}
		if info, ok := listed[w]; ok {
			s.Drift = drift(templateSpec(wants[w].template.Wire(w.language)), info)
		} else {
			s.Drift = []string{"missing"}
		}
	}
	rows, err := d.store.View(ctx).WhatsAppTemplates()
	if err != nil {
		return nil, err
	}
	kept := map[wording]bool{}
	for _, row := range rows {
		kept[wording{row.Name, row.Language}] = true
	}
	for w, info := range listed {
		want, known := wants[w]
		if want.current {
			continue
		}
		s := TemplateState{Ours: known || kept[w], Runs: want.runs}
		status, _ := punchcard.ReadTemplateStatus(info.Status)
		s.WhatsAppTemplate = punchcard.WhatsAppTemplate{
			Name: w.name, Language: w.language, WhatsAppID: info.ID, Status: status, Category: strings.ToLower(info.Category),
			Quality: readQuality(string(info.Quality)),
		}
		if known {
			s.Template, s.Declared = want.template.Name, want.template.Category
		}
		report.Leftovers = append(report.Leftovers, s)
	}
	slices.SortFunc(report.Leftovers, byTemplate)
	return report, nil
}

// Prunable tells whether a leftover may be deleted: the program made it, and nothing live sends it.
func (s *TemplateState) Prunable() bool { return s.Ours && s.Runs == 0 && s.WhatsAppID != "" }

// PruneTemplates deletes the leftovers at WhatsApp that the program made and nothing live sends. It answers how many.
func (d *Dispatcher) PruneTemplates(ctx context.Context, book TemplateBook, leftovers []TemplateState) (int, error) {
	deleted := 0
	for _, s := range leftovers {
		if !s.Prunable() {
			continue
		}
		if err := book.DeleteTemplateByID(ctx, s.WhatsAppID, s.Name); err != nil {
			return deleted, fmt.Errorf("delete template %s in %s at WhatsApp: %w", s.Name, s.Language, err)
		}
		deleted++
		if err := d.store.Update(ctx, func(tx *store.Tx) error {
			if err := tx.SettleAlert(punchcard.AlertTemplateStopped, s.Subject(), "pruned"); err != nil {
				return err
			}
			return tx.ForgetWhatsAppTemplate(s.Name, s.Language)
		}); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// drift says how what WhatsApp has differs from the text.
func drift(want whatsapp.TemplateSpec, have whatsapp.TemplateInfo) []string {
	var found []string
	if !strings.EqualFold(want.Category, have.Category) {
		found = append(found, "category "+strings.ToLower(have.Category))
	}
	for _, kind := range []string{
		whatsapp.ComponentHeader, whatsapp.ComponentOffer, whatsapp.ComponentBody, whatsapp.ComponentCarousel, whatsapp.ComponentFooter,
		whatsapp.ComponentButtons,
	} {
		if !sameComponent(componentOf(want.Components, kind), componentOf(have.Components, kind)) {
			found = append(found, "edited there: "+strings.ToLower(strings.ReplaceAll(kind, "_", " ")))
		}
	}
	return found
}

func componentOf(components []whatsapp.Component, kind string) *whatsapp.Component {
	i := slices.IndexFunc(components, func(c whatsapp.Component) bool { return strings.EqualFold(c.Type, kind) })
	if i < 0 {
		return nil
	}
	return &components[i]
}

// sameComponent compares what customers see. Examples are for reviewers, and WhatsApp words a copy_code button by itself.
func sameComponent(a, b *whatsapp.Component) bool {
	if a == nil || b == nil {
		return a == b
	}
	format := func(c *whatsapp.Component) string {
		if c.Type == whatsapp.ComponentHeader {
			return cmp.Or(strings.ToUpper(c.Format), "TEXT")
		}
		return ""
	}
	sameOffer := a.Offer == nil && b.Offer == nil || a.Offer != nil && b.Offer != nil && *a.Offer == *b.Offer
	return format(a) == format(b) && a.Text == b.Text && sameOffer &&
		slices.EqualFunc(a.Buttons, b.Buttons, func(x, y whatsapp.ButtonSpec) bool {
			return x.Type == y.Type && x.URL == y.URL && x.PhoneNumber == y.PhoneNumber && (x.Text == y.Text || x.Type == whatsapp.ButtonCopyCode)
		}) &&
		slices.EqualFunc(a.Cards, b.Cards, func(x, y whatsapp.CardSpec) bool {
			for _, kind := range []string{whatsapp.ComponentHeader, whatsapp.ComponentBody, whatsapp.ComponentButtons} {
				if !sameComponent(componentOf(x.Components, kind), componentOf(y.Components, kind)) {
					return false
				}
			}
			return true
		})
}

// templateSpec is a wording as WhatsApp is asked to create it. What a header shows is a handle by then, see withSamples; what compares
// wordings looks at no examples.
func templateSpec(w rules.WireTemplate) whatsapp.TemplateSpec {
	spec := whatsapp.TemplateSpec{Name: w.Name, Language: w.Language, Category: w.Category}
	add := func(c *whatsapp.Component) {
		if c != nil {
			spec.Components = append(spec.Components, *c)
		}
	}
	add(headerSpec(w.HeaderFormat, w.Header, w.HeaderExample))
	if w.Offer != "" {
		add(&whatsapp.Component{Type: whatsapp.ComponentOffer, Offer: &whatsapp.OfferSpec{Text: w.Offer, Expiration: w.OfferEnds}})
	}
	add(bodySpec(w.Body, w.Examples))
	if len(w.Cards) > 0 {
		carousel := &whatsapp.Component{Type: whatsapp.ComponentCarousel}
		for _, k := range w.Cards {
			var parts []whatsapp.Component
			for _, c := range []*whatsapp.Component{
				headerSpec(k.HeaderFormat, "", k.HeaderExample), bodySpec(k.Body, k.Examples), buttonsSpec(k.Buttons),
			} {
				if c != nil {
					parts = append(parts, *c)
				}
			}
			carousel.Cards = append(carousel.Cards, whatsapp.CardSpec{Components: parts})
		}
		add(carousel)
	}
	if w.Footer != "" {
		add(&whatsapp.Component{Type: whatsapp.ComponentFooter, Text: w.Footer})
	}
	add(buttonsSpec(w.Buttons))
	return spec
}

func headerSpec(format rules.HeaderFormat, text, example string) *whatsapp.Component {
	switch {
	case format == rules.HeaderLocation:
		return &whatsapp.Component{Type: whatsapp.ComponentHeader, Format: string(format)}
	case format != rules.HeaderText:
		return &whatsapp.Component{
			Type: whatsapp.ComponentHeader, Format: string(format), Example: &whatsapp.Example{HeaderHandle: []string{example}},
		}
	case text == "":
		return nil
	}
	c := &whatsapp.Component{Type: whatsapp.ComponentHeader, Format: "TEXT", Text: text}
	if example != "" {
		c.Example = &whatsapp.Example{HeaderText: []string{example}}
	}
	return c
}

func bodySpec(text string, examples []string) *whatsapp.Component {
	if text == "" {
		return nil
	}
	c := &whatsapp.Component{Type: whatsapp.ComponentBody, Text: text}
	if len(examples) > 0 {
		c.Example = &whatsapp.Example{BodyText: [][]string{examples}}
	}
	return c
}

func buttonsSpec(buttons []rules.Button) *whatsapp.Component {
	if len(buttons) == 0 {
		return nil
	}
	c := &whatsapp.Component{Type: whatsapp.ComponentButtons}
	for _, b := range buttons {
		spec := whatsapp.ButtonSpec{Text: b.Text}
		switch b.Kind {
		case rules.ButtonQuickReply:
			spec.Type = whatsapp.ButtonQuickReply
		case rules.ButtonCopyCode:
			spec.Type, spec.Text, spec.Example = whatsapp.ButtonCopyCode, "", whatsapp.Samples{b.Example}
		case rules.ButtonURL:
			spec.Type, spec.URL = whatsapp.ButtonURL, b.URL
			if b.Example != "" {
				spec.Example = whatsapp.Samples{b.Example}
			}
		case rules.ButtonPhone:
			spec.Type, spec.PhoneNumber = whatsapp.ButtonPhone, b.Phone
		}
		c.Buttons = append(c.Buttons, spec)
	}
	return c
}

// tooMany tells whether WhatsApp refused a template because there were too many of late. A refusal without a code is none of its:
// it was not reached.
func tooMany(err error) bool {
	e, ok := errors.AsType[*whatsapp.Error](err)
	return ok && e.Class == whatsapp.Retry && e.Code != whatsapp.CodeNone
}
