package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

type consentsCmd struct {
	Import consentsImportCmd `cmd:"" help:"Take over consents that were given elsewhere, from CSV with their evidence."`
	Export consentsExportCmd `cmd:"" help:"Write a customer's consent log, or everyone's."`
	Revoke consentsRevokeCmd `cmd:"" help:"Revoke a customer's consent, at once."`
}

// operator is who is at the machine, for the record.
func operator() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

type consentsImportCmd struct {
	toolDatabase

	File   string `arg:"" help:"The CSV file; - for standard input."`
	By     string `required:"" help:"Who imports: it stays in the log."`
	DryRun bool   `help:"Judge every line, and keep nothing."`
}

// Run imports, and says of every line that was refused why. It fails where one was.
func (c consentsImportCmd) Run(ctx context.Context) error {
	var file io.Reader = os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		file = f
	}
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		totals, err := d.ImportConsents(ctx, bufio.NewReader(file), c.By, c.DryRun, func(l dispatch.ImportLine) error {
			if l.Err == nil {
				return nil
			}
			field := ""
			if l.Err.Field != "" {
				field = l.Err.Field + ": "
			}
			_, err := fmt.Printf("line %d is refused: %s%s\n", l.Line, field, l.Err.Message)
			return err
		})
		kept := ""
		if c.DryRun {
			kept = " Nothing was kept: it was a dry run."
		}
		fmt.Printf("%d recorded, %d taken before, %d refused.%s\n", totals.Recorded, totals.Repeated, totals.Refused, kept)
		if err == nil && totals.Refused > 0 {
			return errors.New("not every line was taken: mend those that are refused, and give the file again; no line is taken twice")
		}
		return err
	})
}

type consentsExportCmd struct {
	toolDatabase

	Customer string `arg:"" optional:"" help:"${customer}"`
	All      bool   `help:"Everyone's log."`
	Format   string `enum:"text,html,csv" default:"text" help:"text and html tell one customer's story; csv is the log. Everyone's is csv."`
}

// Run exports to standard output.
func (c consentsExportCmd) Run(ctx context.Context) error {
	if c.All == (c.Customer != "") {
		return errors.New("name a customer, or give --all")
	}
	out := bufio.NewWriter(os.Stdout)
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		d := newToolDispatch(s)
		if c.All {
			return d.ExportConsents(ctx, "", out)
		}
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		if c.Format == "csv" {
			return d.ExportConsents(ctx, customer.ID, out)
		}
		story, err := d.ConsentStory(ctx, customer.ID)
		if err != nil {
			return err
		}
		if c.Format == "html" {
			return story.HTML(out)
		}
		return story.Text(out)
	})
	return errors.Join(err, out.Flush())
}

type consentsRevokeCmd struct {
	toolDatabase

	Customer  string   `arg:"" help:"${customer}"`
	Topics    []string `help:"What is revoked; everything without."`
	Source    string   `default:"operator" help:"What brought it about, in a word or two."`
	Reference string   `help:"Where the evidence is kept."`
}

// Run revokes.
func (c consentsRevokeCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		_, changed, err := newToolDispatch(s).Revoke(ctx, dispatch.Revocation{
			Customer: customer.ID, Topics: c.Topics, Source: c.Source, Channel: punchcard.ChannelAPI, Reference: c.Reference, By: operator(),
		})
		switch {
		case err != nil:
			return err
		case changed:
			fmt.Println("Revoked. Only the customer can begin again.")
		default:
			fmt.Println("It was revoked before.")
		}
		return nil
	})
}

type linksCmd struct {
	toolDatabase

	Number string `placeholder:"PHONE" help:"The business's WhatsApp number; otherwise the one that serve was given."`
	Out    string `placeholder:"DIR" help:"Folder to write each link's QR code to, as NAME.svg and NAME.png."`
}

// Run lists the program's links, and writes their QR codes.
func (c linksCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		if c.Number != "" {
			if err := dispatch.SetNumber(ctx, s, c.Number); err != nil {
				return err
			}
		}
		return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
			links, err := d.Links(ctx)
			if err != nil {
				return err
			}
			if len(links) == 0 {
				fmt.Println("The program has no links: declare some under links in program.yaml.")
			}
			for _, l := range links {
				fmt.Printf("%s\t%s\n", l.Name, l.URL)
				if c.Out != "" {
					if err := writeQR(c.Out, l); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

func writeQR(folder string, l dispatch.WayIn) error {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	for extension, image := range map[string]func(string) ([]byte, error){".svg": dispatch.QRAsSVG, ".png": dispatch.QRAsPNG} {
		data, err := image(l.URL)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, l.Name+extension), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// customerFlags say how customers reach this deployment.
type customerFlags struct {
	PublicURL      string `name:"public-url" placeholder:"URL" help:"Address at which customers reach this server, for unsubscribe_url: https://rewards.example.com."`
	WhatsappNumber string `name:"whatsapp-number" placeholder:"PHONE" help:"The business's WhatsApp number, for links and QR codes: +4570000000."`
}

// keep stores what was given, for the workers and the tools. What was not given stays as it was.
func (f customerFlags) keep(ctx context.Context, s *store.Store) error {
	var errs []error
	if f.PublicURL != "" {
		errs = append(errs, fence.SetPublicURL(ctx, s, f.PublicURL))
	}
	if f.WhatsappNumber != "" {
		errs = append(errs, dispatch.SetNumber(ctx, s, f.WhatsappNumber))
	}
	return errors.Join(errs...)
}
