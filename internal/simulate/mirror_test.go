package simulate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// book is the account's templates at WhatsApp, which reviews what is new in its own time.
type book struct {
	infos  []whatsapp.TemplateInfo
	most   int    // creations before the hour is used up; 0: any number
	refuse string // what is in the name of those that are not taken

	samples []string // what was uploaded for the reviewers
	unseen  string   // what is in the address of those that cannot be had
}

func (b *book) ListTemplates(context.Context) ([]whatsapp.TemplateInfo, error) {
	return slices.Clone(b.infos), nil
}

func (b *book) CreateTemplate(_ context.Context, spec whatsapp.TemplateSpec) (whatsapp.TemplateInfo, error) {
	switch {
	case b.refuse != "" && strings.Contains(spec.Name, b.refuse):
		return whatsapp.TemplateInfo{}, &whatsapp.Error{Code: 100, Subcode: 2388040, Class: whatsapp.Bug, Details: "too long"}
	case b.most > 0 && len(b.infos) == b.most:
		return whatsapp.TemplateInfo{}, &whatsapp.Error{Code: 80007, Class: whatsapp.Retry}
	}
	info := whatsapp.TemplateInfo{TemplateSpec: spec, ID: fmt.Sprint(len(b.infos) + 1), Status: "PENDING"}
	b.infos = append(b.infos, info)
	return info, nil
}

func (b *book) DeleteTemplateByID(_ context.Context, id, _ string) error {
	b.infos = slices.DeleteFunc(b.infos, func(t whatsapp.TemplateInfo) bool { return t.ID == id })
	return nil
}

func (b *book) Sample(_ context.Context, format rules.HeaderFormat, address string) (string, error) {
	if b.unseen != "" && strings.Contains(address, b.unseen) {
		return "", fmt.Errorf("%s answers 404", address)
	}
	b.samples = append(b.samples, string(format)+" "+address)
	return fmt.Sprint("handle-", len(b.samples)), nil
}

// edited is the coffee program with one word of its question changed, or as it is.
func edited(t *testing.T, to string) *rules.Program {
	t.Helper()
	files := coffee()
	text := string(files["templates.yaml"].Data)
	require.Contains(t, text, "would like to send")
	p, problems := rules.Load(with(map[string]string{"templates.yaml": strings.ReplaceAll(text, "would like to send", to)}))
	require.Empty(t, problems.Errors())
	return p
}

// What is submitted holds what would send it until a listing says that it was approved.
func TestPushAndPullTemplates(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b, wa := setup(t, fresh(t), coffee()), &book{}
		old := edited(t, "would like to send")
		report, err := b.Dispatch.PushTemplates(b.ctx, wa, old)
		require.NoError(t, err)
		require.Equal(t, len(wa.infos), report.Submitted)
		require.Len(t, report.Templates, report.Submitted)
		again, err := b.Dispatch.PushTemplates(b.ctx, wa, old)
		require.NoError(t, err)
		require.Zero(t, again.Submitted)

		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt-in held at 1 template_pending"}, b.outcomes(anna))
		for i := range wa.infos {
			wa.infos[i].Status = "APPROVED"
		}
		report, err = b.Dispatch.PullTemplates(b.ctx, wa)
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna), "a listing lets it go on as a webhook does")
		for _, s := range report.Templates {
			require.Equal(t, punchcard.TemplateApproved, s.Status)
			require.Empty(t, s.Drift, s.Name)
		}
		require.Empty(t, report.Leftovers)

		// An edit over there, another category, and one that is gone are drift.
		wa.infos[0].Components = slices.Clone(wa.infos[0].Components)
		wa.infos[0].Components[0].Text += " And buy."
		wa.infos[1].Category = "AUTHENTICATION"
		gone := wa.infos[2]
		wa.infos = slices.Delete(wa.infos, 2, 3)
		wa.infos = append(wa.infos, whatsapp.TemplateInfo{TemplateSpec: whatsapp.TemplateSpec{Name: "a_strangers", Language: "en"}, ID: "x", Status: "APPROVED"})
		report, err = b.Dispatch.PullTemplates(b.ctx, wa)
		require.NoError(t, err)
		var found []string
		for _, s := range report.Templates {
			found = append(found, s.Drift...)
			if s.Name == gone.Name && s.Language == gone.Language {
				require.Equal(t, punchcard.TemplateMissing, s.Status)
			}
		}
		require.ElementsMatch(t, []string{"edited there: body", "category authentication", "missing"}, found)
		require.Len(t, report.Leftovers, 1)
		require.False(t, report.Leftovers[0].Prunable(), "what others made is left alone")
		require.ElementsMatch(t, []string{"template_stopped missing", "template_category now_authentication"}, b.alerts())

		// An edit here is another template there; the old one stays while a live run may send it.
		next := edited(t, "wants to send")
		report, err = b.Dispatch.PushTemplates(b.ctx, wa, next)
		require.NoError(t, err)
		require.Equal(t, 3, report.Submitted, "both languages of the edit, and the one that was gone")
		_, _, err = b.Fence.Catalog.Publish(b.ctx, next)
		require.NoError(t, err)
		leftovers := func() (ours []dispatch.TemplateState) {
			report, err := b.Dispatch.PullTemplates(b.ctx, wa)
			require.NoError(t, err)
			return slices.DeleteFunc(report.Leftovers, func(s dispatch.TemplateState) bool { return !s.Ours })
		}
		require.Len(t, leftovers(), 2)
		n, err := b.Dispatch.PruneTemplates(b.ctx, wa, leftovers())
		require.NoError(t, err)
		require.Zero(t, n, "a run lives on the version that made them")
		_, err = b.Dispatch.EndRuns(b.ctx, 1)
		require.NoError(t, err)
		n, err = b.Dispatch.PruneTemplates(b.ctx, wa, leftovers())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Empty(t, leftovers())
	})
}

// WhatsApp's hour being used up is told, and the rest goes with the next push; what is refused keeps nothing else back.
func TestPushTemplatesLimits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b, wa := setup(t, fresh(t), coffee()), &book{most: 3}
		p := edited(t, "would like to send")
		report, err := b.Dispatch.PushTemplates(b.ctx, wa, p)
		require.NoError(t, err)
		require.Equal(t, 3, report.Submitted)
		require.Equal(t, len(report.Templates)-3, report.Unsent)
		require.Contains(t, report.Notes[0], "100 new templates an hour")
		wa.most, wa.refuse = 0, "opt_in_request"
		report, err = b.Dispatch.PushTemplates(b.ctx, wa, p)
		require.NoError(t, err)
		require.Zero(t, report.Unsent)
		require.Len(t, report.Refused, 2)
		require.Contains(t, report.Refused[0], "too long")
		require.Len(t, wa.infos, len(report.Templates)-2)
	})
}

// What a header shows is uploaded once for all wordings, and its handle goes where the address stood. A sample that cannot be had keeps
// nothing else back.
func TestPushTemplatesWithSamples(t *testing.T) {
	t.Parallel()
	text := `
  pictured: {category: utility, image: "https://shop.example/a.png", body: {en: Look here., da: Se her.}}
  filed: {category: utility, document: {url: "https://shop.example/a.pdf", filename: a.pdf}, body: {en: Your bill.}}
  carded:
    category: marketing
    body: {en: Look here.}
    cards:
      - {image: "https://shop.example/a.png", buttons: [{reply: yes}]}
      - {image: "https://shop.example/b.png", buttons: [{reply: yes}]}
`
	files := coffee()
	p, problems := rules.Load(with(map[string]string{"templates.yaml": string(files["templates.yaml"].Data) + text}))
	require.Empty(t, problems.Errors())
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b, wa := setup(t, fresh(t), coffee()), &book{unseen: "b.png"}
		report, err := b.Dispatch.PushTemplates(b.ctx, wa, p)
		require.NoError(t, err)
		require.Len(t, report.Refused, 1)
		require.Contains(t, report.Refused[0], "carded (en)")
		require.Contains(t, report.Refused[0], "card 2: https://shop.example/b.png answers 404")
		require.Equal(t, len(report.Templates)-1, report.Submitted)
		wa.unseen = ""
		report, err = b.Dispatch.PushTemplates(b.ctx, wa, p)
		require.NoError(t, err)
		require.Empty(t, report.Refused)
		require.Equal(t, 1, report.Submitted)
		require.ElementsMatch(t, []string{
			"IMAGE https://shop.example/a.png", "DOCUMENT https://shop.example/a.pdf", "IMAGE https://shop.example/a.png", "IMAGE https://shop.example/b.png",
		}, wa.samples, "once for each push")
		for _, info := range wa.infos {
			for _, c := range info.Components {
				if c.Example != nil && len(c.Example.HeaderHandle) > 0 {
					require.Regexp(t, "^handle-", c.Example.HeaderHandle[0])
				}
				for _, k := range c.Cards {
					require.Regexp(t, "^handle-", k.Components[0].Example.HeaderHandle[0])
				}
			}
		}
	})
}
