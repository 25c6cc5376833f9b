package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

type explainCmd struct {
	toolDatabase
	spanFlags

	Customer string `arg:"" help:"${customer}"`
	JSON     bool   `name:"json" help:"One JSON object a line."`
}

// explainPage is how many decisions are read at a time.
const explainPage = 500

// Run tells of each message to a customer why it went, waited, or was not sent.
func (c explainCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		policy, err := fence.New(s).Catalog.Current(ctx)
		if err != nil {
			return err
		}
		zone := fence.Zone(policy.Program, customer)
		from, to, err := c.span(zone)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(os.Stdout)
		n := 0
		for after := int64(0); ; {
			page, err := fence.Explain(view, customer.ID, after, from, to, explainPage)
			if err != nil {
				return err
			}
			for _, e := range page {
				after = e.ID
				if err := c.print(out, e, zone); err != nil {
					return err
				}
			}
			if n += len(page); len(page) < explainPage {
				break
			}
		}
		if n == 0 && !c.JSON {
			fmt.Fprintln(out, "Nothing was decided of any message to them in that time.")
		}
		return out.Flush()
	})
}

func (c explainCmd) print(out io.Writer, e fence.Explained, zone *time.Location) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(e)
	}
	what := e.Template
	if what == "" {
		what = "free text"
	}
	verdict := map[punchcard.Verdict]string{
		punchcard.VerdictSend: "goes", punchcard.VerdictDefer: "waits", punchcard.VerdictHold: "is held", punchcard.VerdictSuppress: "is not sent",
		punchcard.VerdictEnd: "is not sent, and its run ends", punchcard.VerdictFailed: "is refused",
	}[e.Verdict]
	if e.Reason != "" {
		verdict += ": " + e.Reason
	}
	_, err := fmt.Fprintf(out, "%s  %s of %s %s\n    %s\n", e.At.In(zone).Format("Mon 2006-01-02 15:04"), what, e.Journey, verdict, e.Rule)
	if err == nil && e.Change != "" {
		_, err = fmt.Fprintf(out, "    To change it: %s\n", e.Change)
	}
	if err == nil && e.Verdict == punchcard.VerdictSend {
		_, err = fmt.Fprintf(out, "    It is %s now.\n", e.Status)
	}
	return err
}
