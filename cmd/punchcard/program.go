package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"punchcard/internal/fence"
	"punchcard/rules"
)

type programCmd struct {
	Check programCheckCmd `cmd:"" help:"Check a program's folder and say every mistake at once."`
	Apply programApplyCmd `cmd:"" help:"Publish a program's folder: new runs take it, runs under way keep theirs."`
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

// loadProgram reads a program, or says all that is wrong with it.
func loadProgram(files fs.FS, name string) (*rules.Program, error) {
	if _, err := fs.Stat(files, "."); err != nil {
		fmt.Fprintf(os.Stderr, "punchcard: there is no folder %s\n", name)
		return nil, errSaid
	}
	p, problems := rules.Load(files)
	if p == nil {
		for _, d := range problems {
			fmt.Fprintln(os.Stderr, d.String())
		}
		fmt.Fprintf(os.Stderr, "punchcard: %s has %d to mend\n", name, len(problems))
		return nil, errSaid
	}
	return p, nil
}

type programApplyCmd struct {
	databaseFlags
	whatsappFlags

	Dir string `arg:"" help:"The program's folder."`
}

// Run publishes the folder, and makes WhatsApp know its templates first: a run that starts with it finds them there.
func (c programApplyCmd) Run(ctx context.Context) (err error) {
	p, err := loadProgram(os.DirFS(c.Dir), c.Dir)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	added, err := pushTemplates(ctx, c.client(), p)
	if err != nil {
		return err
	}
	version, fresh, err := fence.NewCatalog(s).Publish(ctx, p)
	if err != nil {
		return err
	}
	if !fresh {
		fmt.Printf("%s is version %d already; %d wordings of templates were new to WhatsApp.\n", p.Name, version, added)
		return nil
	}
	fmt.Printf("%s is published as version %d; %d wordings of templates are now at WhatsApp for approval.\n", p.Name, version, added)
	return nil
}
