package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"punchcard"
)

// jsonFlag has a command write for programs.
type jsonFlag struct {
	JSON bool `name:"json" help:"Write JSON as the API has it; of a list, one object a line."`
}

// pageFlags say which part of a list is shown.
type pageFlags struct {
	jsonFlag

	Before string `placeholder:"ID" help:"Go on after this one: the last that was listed."`
	Limit  int    `default:"20" help:"How many, 1 to 1000."`
}

// check tells what is wrong with the flags of a list whose ids have that prefix.
func (f pageFlags) check(prefix string) error {
	if f.Limit < 1 || f.Limit > 1000 {
		return errors.New("--limit is from 1 to 1000")
	}
	if f.Before != "" && !punchcard.IsID(prefix, f.Before) {
		return fmt.Errorf("--before is an id of this list: %s_…", prefix)
	}
	return nil
}

// spanFlags say from which day to which.
type spanFlags struct {
	From string `placeholder:"2026-01-31" help:"From this day on."`
	To   string `placeholder:"2026-12-31" help:"Until this day, included."`
}

// span is from when until when, in a zone: the end is the first moment that is out. A time is zero where its flag is not given.
func (f spanFlags) span(zone *time.Location) (from, until time.Time, err error) {
	if f.From != "" {
		if from, err = time.ParseInLocation(time.DateOnly, f.From, zone); err != nil {
			return from, until, errors.New("--from is a day: 2026-01-31")
		}
	}
	if f.To != "" {
		if until, err = time.ParseInLocation(time.DateOnly, f.To, zone); err != nil {
			return from, until, errors.New("--to is a day: 2026-12-31")
		}
		until = until.AddDate(0, 0, 1)
	}
	return from, until, nil
}

// sayList writes rows under a heading, whose names have tabs between; or each as JSON.
func sayList[T any](asJSON bool, rows []T, heading string, cells func(T) []any) error {
	if asJSON {
		out := json.NewEncoder(os.Stdout)
		for _, r := range rows {
			if err := out.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	for _, r := range rows {
		values := cells(r)
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = cell(v)
		}
		fmt.Fprintln(w, strings.Join(texts, "\t"))
	}
	return w.Flush()
}

// cell is a value in a table, in which a tab or a new line would begin another.
func cell(v any) string { return strings.Join(strings.Fields(fmt.Sprint(v)), " ") }

// field is one line of what a command shows of one thing.
type field struct {
	name  string
	value any
}

// sayOne writes the fields that have a value; or the thing as JSON.
func sayOne(asJSON bool, thing any, fields []field) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(thing)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if text := cell(f.value); text != "" {
			fmt.Fprintf(w, "%s\t%s\n", f.name, text)
		}
	}
	return w.Flush()
}
