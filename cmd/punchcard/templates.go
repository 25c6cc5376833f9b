package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

type templatesCmd struct {
	Status templatesStatusCmd `cmd:"" help:"Show how the program's templates stand with WhatsApp, as far as it is known here."`
	Push   templatesPushCmd   `cmd:"" help:"Submit to WhatsApp what it does not have yet."`
	Pull   templatesPullCmd   `cmd:"" help:"Ask WhatsApp how the templates stand, and say where it has others than the text."`
}

// The exit codes of templates beside 0 (all may be sent) and 1 (the command failed), so that a script can tell.
const (
	exitWaits exitCode = 3 // WhatsApp reviews some, or they wait for the next hour
	exitMend  exitCode = 4 // somebody has to do something
)

// exitCode is the error of a command that has said all there is to say, and ends with a code of its own.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

type templatesStatusCmd struct {
	toolDatabase

	JSON bool `help:"Write JSON."`
}

// Run shows the table.
func (c templatesStatusCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		report, err := d.Templates(ctx)
		if err != nil {
			return err
		}
		return sayTemplates(os.Stdout, report, c.JSON)
	})
}

type templatesPushCmd struct {
	publishFlags

	JSON bool   `help:"Write JSON."`
	Dir  string `arg:"" optional:"" help:"A folder to submit before it is published; without it, what was published last."`
}

// Run submits.
func (c templatesPushCmd) Run(ctx context.Context) error {
	book, err := c.book()
	if err != nil {
		return err
	}
	var program *rules.Program
	if c.Dir != "" {
		if program, err = loadProgram(os.DirFS(c.Dir), c.Dir); err != nil {
			return err
		}
	}
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		if program == nil {
			if program, err = d.Program(ctx); err != nil {
				return err
			}
		}
		report, err := d.PushTemplates(ctx, book, program)
		if err != nil {
			return err
		}
		if !c.JSON {
			fmt.Printf("%d %s of templates went to WhatsApp.\n", report.Submitted, plural(int64(report.Submitted), "wording"))
		}
		return sayTemplates(os.Stdout, report, c.JSON)
	})
}

type templatesPullCmd struct {
	publishFlags

	JSON  bool `help:"Write JSON."`
	Prune bool `help:"Delete at WhatsApp what older versions of the program made and no live run sends."`
}

// Run asks WhatsApp.
func (c templatesPullCmd) Run(ctx context.Context) error {
	book, err := c.book()
	if err != nil {
		return err
	}
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		report, err := d.PullTemplates(ctx, book)
		if err != nil {
			return err
		}
		if c.Prune {
			n, err := d.PruneTemplates(ctx, book, report.Leftovers)
			if err != nil {
				return err
			}
			report.Notes = append(report.Notes, fmt.Sprintf("%d deleted at WhatsApp.", n))
			report.Leftovers = slices.DeleteFunc(report.Leftovers, func(s dispatch.TemplateState) bool { return s.Prunable() })
		}
		return sayTemplates(os.Stdout, report, c.JSON)
	})
}

// templateLine is a wording as scripts read it.
type templateLine struct {
	Template    string     `json:"template"`
	Language    string     `json:"language"`
	Name        string     `json:"name"`
	Status      string     `json:"status"`
	Declared    string     `json:"declared"`
	Category    string     `json:"category"`
	Quality     string     `json:"quality"`
	Reason      string     `json:"reason"`
	Since       *time.Time `json:"since"`
	PausedUntil *time.Time `json:"paused_until"`
	Drift       []string   `json:"drift,omitempty"`
	Runs        int64      `json:"runs,omitempty"`
	Prunable    bool       `json:"prunable,omitempty"`
}

func templateLines(states []dispatch.TemplateState) []templateLine {
	lines := []templateLine{}
	for _, s := range states {
		l := templateLine{
			s.Template, s.Language, s.Name, string(s.Status), s.Declared, s.Category, s.Quality, s.Reason, nil, s.PausedUntil, s.Drift, s.Runs, s.Prunable(),
		}
		if !s.Since.IsZero() {
			l.Since = &s.Since
		}
		lines = append(lines, l)
	}
	return lines
}

// sayTemplates writes how templates stand, and answers the exit code as an error.
func sayTemplates(out io.Writer, r *dispatch.TemplateReport, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(map[string]any{
			"version": r.Version, "templates": templateLines(r.Templates), "leftovers": templateLines(r.Leftovers), "submitted": r.Submitted,
			"refused": append([]string{}, r.Refused...), "unsent": r.Unsent, "notes": append([]string{}, r.Notes...),
		})
		if err != nil {
			return err
		}
		return verdict(r)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TEMPLATE\tLANGUAGE\tNAME AT WHATSAPP\tSTATUS\tCATEGORY\tQUALITY\tSINCE\t")
	for _, s := range r.Templates {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Template, s.Language, s.Name, statusWords(s), categoryWords(s), orDash(s.Quality),
			sinceWords(s), driftWords(s.Drift))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.Leftovers) > 0 {
		fmt.Fprintln(out, "\nAt WhatsApp, and not in the program:")
		table = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		prunable := 0
		for _, s := range r.Leftovers {
			why := "not ours: it is left alone"
			switch {
			case s.Prunable():
				why = "nothing sends it"
				prunable++
			case s.Ours:
				why = fmt.Sprintf("%d live %s may send it", s.Runs, plural(s.Runs, "run"))
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, s.Language, s.Status, why)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		if prunable > 0 {
			fmt.Fprintf(out, "punchcard templates pull --prune deletes the %d that nothing sends.\n", prunable)
		}
	}
	for _, refused := range r.Refused {
		fmt.Fprintf(out, "WhatsApp does not take %s\n", refused)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, "Note:", note)
	}
	return verdict(r)
}

// verdict is the exit code: nil where every template may be sent as the text says it.
func verdict(r *dispatch.TemplateReport) error {
	waits := r.Unsent > 0
	for _, s := range r.Templates {
		switch s.Status {
		case punchcard.TemplatePending:
			waits = true
		case punchcard.TemplateApproved:
		default:
			return exitMend
		}
		if len(s.Drift) > 0 || s.Category != "" && s.Category != s.Declared {
			return exitMend
		}
	}
	switch {
	case len(r.Refused) > 0:
		return exitMend
	case waits:
		return exitWaits
	default:
		return nil
	}
}

func statusWords(s dispatch.TemplateState) string {
	words := string(s.Status)
	switch {
	case s.PausedUntil != nil:
		words += " until " + s.PausedUntil.Format("2006-01-02 15:04")
	case s.Reason != "" && s.Status != punchcard.TemplateApproved:
		words += " (" + s.Reason + ")"
	}
	return words
}

// categoryWords says both categories where they differ.
func categoryWords(s dispatch.TemplateState) string {
	if s.Category == "" || s.Category == s.Declared {
		return s.Declared
	}
	return s.Declared + ", WhatsApp: " + s.Category
}

func sinceWords(s dispatch.TemplateState) string {
	if s.Since.IsZero() {
		return "-"
	}
	return s.Since.Format("2006-01-02 15:04")
}

func driftWords(drift []string) string { return strings.Join(drift, "; ") }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// pushFor submits a program's templates before it is published, so that what starts with it finds them there, and says what waits.
// What WhatsApp refuses is an error: such a program would hold its runs for ever.
func pushFor(ctx context.Context, f *fence.Fence, book dispatch.TemplateBook, p *rules.Program) (*dispatch.TemplateReport, error) {
	report, err := dispatch.New(f, nil, newLog(slog.LevelWarn)).PushTemplates(ctx, book, p)
	if err != nil {
		return nil, err
	}
	if len(report.Refused) > 0 {
		return nil, fmt.Errorf("WhatsApp does not take %s", strings.Join(report.Refused, "; "))
	}
	return report, nil
}

// sayWaiting says which templates wait for WhatsApp's review.
func sayWaiting(out io.Writer, r *dispatch.TemplateReport) {
	var names []string
	for _, s := range r.Templates {
		if s.Status.Holds() != "" {
			names = append(names, fmt.Sprintf("%s (%s, %s)", s.Template, s.Language, s.Status))
		}
	}
	if len(names) > 0 {
		fmt.Fprintf(out, "What would send these is held until WhatsApp approves them: %s. punchcard templates status shows them.\n", strings.Join(names, ", "))
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, "Note:", note)
	}
}

// accountFlags say how a server that sends nothing itself reaches WhatsApp for templates. Without a token it does not.
type accountFlags struct {
	WhatsappURL           string `name:"whatsapp-url" default:"https://graph.facebook.com" help:"Base URL of the Cloud API."`
	WhatsappVersion       string `name:"whatsapp-version" default:"v26.0" help:"Version of the Graph API."`
	WhatsappPhoneNumberID string `name:"whatsapp-phone-number-id" help:"Id of the business's number, for submitting templates by the API."`
	WhatsappAccountID     string `name:"whatsapp-account-id" help:"Id of the WhatsApp business account, for the same."`
	WhatsappAppID         string `name:"whatsapp-app-id" help:"Id of the Meta app that the token is of, for the same: templates with a picture, a film or a document need it."`
	WhatsappToken         string `name:"whatsapp-token" help:"Token of the Cloud API, for the same."`
}

func (f accountFlags) book() dispatch.TemplateBook {
	if f.WhatsappAccountID == "" || f.WhatsappToken == "" {
		return nil
	}
	return dispatch.Account{Client: whatsapp.New(whatsapp.Config{
		BaseURL: f.WhatsappURL, Version: f.WhatsappVersion, PhoneNumberID: f.WhatsappPhoneNumberID, AccountID: f.WhatsappAccountID,
		AppID: f.WhatsappAppID, Token: f.WhatsappToken,
	})}
}
