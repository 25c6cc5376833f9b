package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

type programCmd struct {
	Check    programCheckCmd    `cmd:"" help:"Check programs' folders and say every mistake at once."`
	Fmt      programFmtCmd      `cmd:"" help:"Write a program's files as the reference does; nothing else changes."`
	Diff     programDiffCmd     `cmd:"" help:"Say in plain words how a folder differs from what is published."`
	Apply    programApplyCmd    `cmd:"" help:"Publish a folder: new runs take it, runs under way keep theirs."`
	History  programHistoryCmd  `cmd:"" help:"List what was published, with the runs that live on it."`
	Show     programShowCmd     `cmd:"" help:"Write a published version's files into a folder."`
	Rollback programRollbackCmd `cmd:"" help:"Publish an earlier version again, as a new one."`
	Schema   programSchemaCmd   `cmd:"" help:"Write the JSON Schemas of a program's files, for editors."`
}

type programCheckCmd struct {
	Dirs []string `arg:"" name:"dir" help:"The program's folder."`
}

// Run checks each folder.
func (c programCheckCmd) Run() error {
	failed := false
	for _, dir := range c.Dirs {
		p, err := loadProgram(os.DirFS(dir), dir)
		if err != nil {
			failed = true
			continue
		}
		fmt.Printf("%s is sound: %s, %d journeys, %d templates, %d rewards.\n", dir, p.Name, len(p.Journeys), len(p.Templates), len(p.Rewards))
	}
	if failed {
		return errSaid
	}
	return nil
}

// loadProgram reads a program and says its warnings, or all that is wrong with it.
func loadProgram(files fs.FS, name string) (*rules.Program, error) {
	if _, err := fs.Stat(files, "."); err != nil {
		fmt.Fprintf(os.Stderr, "punchcard: there is no folder %s\n", name)
		return nil, errSaid
	}
	p, problems := rules.Load(files)
	for _, d := range problems {
		fmt.Fprintln(os.Stderr, d.String())
	}
	if p == nil {
		fmt.Fprintf(os.Stderr, "punchcard: %s has %d to mend\n", name, len(problems.Errors()))
		return nil, errSaid
	}
	return p, nil
}

type programFmtCmd struct {
	Dirs  []string `arg:"" name:"dir" help:"The program's folder."`
	Check bool     `help:"Change nothing; fail if a file would change."`
}

// Run formats each folder's files.
func (c programFmtCmd) Run() error {
	unformatted := false
	for _, dir := range c.Dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			changed, err := formatFile(dir, path, c.Check)
			if changed {
				unformatted = true
				fmt.Println(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if c.Check && unformatted {
		return errSaid
	}
	return nil
}

// formatFile formats one file, and answers whether it was not formatted.
func formatFile(dir, path string, check bool) (bool, error) {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	formatted, err := rules.Format(filepath.ToSlash(name), string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if formatted == string(text) {
		return false, nil
	}
	if check {
		return true, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return true, err
	}
	return true, os.WriteFile(path, []byte(formatted), info.Mode().Perm()) //nolint:gosec // the operator names the folder
}

// newest is the newest published program, nil when there is none, with the live runs by journey and version.
func newest(ctx context.Context, s *store.Store) (*rules.Program, int, map[string]map[int]int64, error) {
	catalog, view := fence.NewCatalog(s), s.View(ctx)
	version, err := view.LatestVersion()
	if err != nil || version == 0 {
		return nil, 0, nil, err
	}
	p, err := catalog.Program(ctx, version)
	if err != nil {
		return nil, 0, nil, err
	}
	open, err := view.CountOpen()
	return p, version, open, err
}

// sayChanges says how next differs from what is published, and how many runs keep what they began with.
func sayChanges(ctx context.Context, s *store.Store, next *rules.Program) error {
	old, version, open, err := newest(ctx, s)
	if err != nil {
		return err
	}
	if old == nil {
		fmt.Println("Nothing is published yet.")
		return nil
	}
	changes := rules.Diff(old, next)
	for _, c := range changes {
		keep := ""
		runs := int64(0)
		for _, n := range open[c.Where] {
			runs += n
		}
		if runs > 0 {
			keep = fmt.Sprintf("; %d %s in flight %s what %s began with", runs, plural(runs, "run"), plural(runs, "keep"), map[bool]string{true: "it", false: "they"}[runs == 1])
		}
		fmt.Printf("%s: %s%s\n", c.Where, c.Text, keep)
	}
	if len(changes) == 0 {
		fmt.Printf("Nothing differs from version %d.\n", version)
	}
	return nil
}

// plural is a word as it stands after a number: one run keeps, two runs keep.
func plural(n int64, word string) string {
	if (n == 1) == (word == "keep") {
		return word + "s"
	}
	return word
}

type programDiffCmd struct {
	toolDatabase

	Dir string `arg:"" help:"The program's folder."`
}

// Run says the differences.
func (c programDiffCmd) Run(ctx context.Context) error {
	p, err := loadProgram(os.DirFS(c.Dir), c.Dir)
	if err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		return sayChanges(ctx, s, p)
	})
}

// publishFlags say where to publish: to a deployment, or to the development server on this machine.
type publishFlags struct {
	toolDatabase

	WhatsappURL           string `name:"whatsapp-url" default:"https://graph.facebook.com" help:"Base URL of the Cloud API."`
	WhatsappVersion       string `name:"whatsapp-version" default:"v26.0" help:"Version of the Graph API."`
	WhatsappPhoneNumberID string `name:"whatsapp-phone-number-id" help:"Id of the business's number."`
	WhatsappAccountID     string `name:"whatsapp-account-id" help:"Id of the WhatsApp business account."`
	WhatsappAppID         string `name:"whatsapp-app-id" help:"Id of the Meta app that the token is of; templates with a picture, a film or a document need it."`
	WhatsappToken         string `name:"whatsapp-token" help:"Token of the Cloud API."`
	Dev                   bool   `help:"Publish to the development server on this machine, with its simulator for WhatsApp."`
	PhonePort             int    `default:"8090" help:"With --dev: the simulator's port."`
}

// templatesFlag says whether publishing submits templates.
type templatesFlag struct {
	Templates bool `default:"true" negatable:"" help:"Submit new templates to WhatsApp first; without, what would send them is held until punchcard templates push."`
}

func (f publishFlags) book() (dispatch.TemplateBook, error) {
	if f.Dev {
		return devBook(loopback(f.PhonePort)), nil
	}
	if f.WhatsappPhoneNumberID == "" || f.WhatsappAccountID == "" || f.WhatsappToken == "" {
		return nil, errors.New("templates go to WhatsApp first: set --whatsapp-phone-number-id, --whatsapp-account-id and --whatsapp-token, or --dev for the development server")
	}
	return dispatch.Account{Client: whatsapp.New(whatsapp.Config{
		BaseURL: f.WhatsappURL, Version: f.WhatsappVersion, PhoneNumberID: f.WhatsappPhoneNumberID, AccountID: f.WhatsappAccountID,
		AppID: f.WhatsappAppID, Token: f.WhatsappToken,
	})}, nil
}

// publish makes WhatsApp know a program's templates, so that a run which starts with it finds them there, and then makes it the
// newest version.
func (f publishFlags) publish(ctx context.Context, s *store.Store, p *rules.Program, templates bool) error {
	report := &dispatch.TemplateReport{}
	if templates {
		book, err := f.book()
		if err != nil {
			return err
		}
		if report, err = pushFor(ctx, fence.New(s), book, p); err != nil {
			return err
		}
	}
	version, fresh, err := fence.NewCatalog(s).Publish(ctx, p)
	if err != nil {
		return err
	}
	state := "is published as"
	if !fresh {
		state = "is already"
	}
	fmt.Printf("%s %s version %d; %d wordings of templates were new to WhatsApp.\n", p.Name, state, version, report.Submitted)
	sayWaiting(os.Stdout, report)
	return nil
}

type programApplyCmd struct {
	publishFlags
	templatesFlag

	Dir string `arg:"" help:"The program's folder."`
}

// Run publishes the folder.
func (c programApplyCmd) Run(ctx context.Context) error {
	p, err := loadProgram(os.DirFS(c.Dir), c.Dir)
	if err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		if err := sayChanges(ctx, s, p); err != nil {
			return err
		}
		return c.publish(ctx, s, p, c.Templates)
	})
}

type programHistoryCmd struct{ toolDatabase }

// Run lists the versions.
func (c programHistoryCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		versions, err := s.View(ctx).Programs()
		if err != nil {
			return err
		}
		open, err := s.View(ctx).CountOpen()
		if err != nil {
			return err
		}
		for _, v := range versions {
			live := int64(0)
			for _, byVersion := range open {
				live += byVersion[v.Version]
			}
			fmt.Printf("%4d  %s  %s  %d live %s\n", v.Version, v.PublishedAt.Format("2006-01-02 15:04"), v.Hash[:min(12, len(v.Hash))], live, plural(live, "run"))
		}
		return nil
	})
}

type programShowCmd struct {
	toolDatabase

	Version int    `arg:"" help:"The version, as history shows it."`
	Dir     string `arg:"" help:"A folder that does not exist yet."`
}

// Run writes the files as they were published.
func (c programShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		p, err := s.View(ctx).Program(c.Version)
		if err != nil {
			return err
		}
		if p == nil {
			return fmt.Errorf("there is no version %d; punchcard program history lists them", c.Version)
		}
		if err := os.Mkdir(c.Dir, 0o750); err != nil {
			return err
		}
		folder, err := os.OpenRoot(c.Dir) // no file's name leads out of it
		if err != nil {
			return err
		}
		defer func() { _ = folder.Close() }() // what was written is closed by itself
		for name, text := range p.Files {
			if dir := filepath.Dir(name); dir != "." {
				if err := folder.MkdirAll(dir, 0o750); err != nil {
					return err
				}
			}
			if err := folder.WriteFile(name, []byte(text), 0o600); err != nil {
				return err
			}
		}
		fmt.Printf("Version %d is in %s.\n", c.Version, c.Dir)
		return nil
	})
}

type programRollbackCmd struct {
	publishFlags
	templatesFlag

	To int `arg:"" name:"version" help:"The version to publish again, as history shows it."`
}

// Run publishes an earlier version's files as the newest. Numbers only grow: nothing of the history changes.
func (c programRollbackCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		p, err := fence.NewCatalog(s).Program(ctx, c.To)
		if err != nil {
			return err
		}
		if err := sayChanges(ctx, s, p); err != nil {
			return err
		}
		return c.publish(ctx, s, p, c.Templates)
	})
}

type programSchemaCmd struct {
	Dir string `arg:"" help:"Where to write them."`
}

// Run writes the schemas.
func (c programSchemaCmd) Run() error {
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return err
	}
	for name, schema := range rules.JSONSchemas() {
		path := filepath.Join(c.Dir, strings.TrimSuffix(name, ".yaml")+".schema.json")
		if err := os.WriteFile(path, schema, 0o600); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
