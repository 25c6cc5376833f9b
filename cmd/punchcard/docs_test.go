package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the commands into docs/cli.md and README.md")

// The pages that have the commands, and the marks between which the README has them.
const (
	cliPage    = "../../docs/cli.md"
	readmePage = "../../README.md"
	marksBegin = "<!-- commands: go test ./cmd/punchcard -run TestCommandsAreDocumented -update -->\n"
	marksEnd   = "<!-- end of commands -->\n"
)

// The pages that list the commands have those that there are, as their own help tells of them.
func TestCommandsAreDocumented(t *testing.T) {
	t.Parallel()
	parser, err := newParser()
	require.NoError(t, err)
	readme, err := os.ReadFile(readmePage)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(readme), marksBegin)
	require.True(t, ok, "the README has the mark")
	_, after, ok := strings.Cut(rest, marksEnd)
	require.True(t, ok, "the README has the other mark")
	for path, want := range map[string]string{
		cliPage: commandsPage(parser.Model.Node), readmePage: before + marksBegin + commandsTable(parser.Model.Node) + marksEnd + after,
	} {
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
			continue
		}
		has, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(has), "the commands are others: go test ./cmd/punchcard -run TestCommandsAreDocumented -update")
	}
	for _, n := range parser.Model.Leaves(false) {
		require.True(t, strings.HasSuffix(n.Help, "."), n.FullPath())
		require.NotNil(t, n.ClosestGroup(), n.FullPath())
		for _, f := range n.Flags {
			require.NotEmpty(t, f.Help, "%s --%s", n.FullPath(), f.Name)
		}
		for _, v := range n.Positional {
			require.NotEmpty(t, v.Help, "%s %s", n.FullPath(), v.Name)
		}
	}
}

// commandsTable is the short table: chapters, their commands and what is below them.
func commandsTable(root *kong.Node) string {
	var b strings.Builder
	b.WriteString("| | commands |\n|---|---|\n")
	for _, g := range commandGroups() {
		var commands []string
		for _, n := range root.Children {
			if n.Group == nil || n.Group.Key != g.Key {
				continue
			}
			text := fmt.Sprintf("[`%s`](docs/cli.md#%s)", n.Name, n.Name)
			if below := below(n); len(below) > 0 {
				text += " " + strings.Join(below, ", ")
			}
			commands = append(commands, text)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", g.Title, strings.Join(commands, " · "))
	}
	return b.String()
}

func below(n *kong.Node) []string {
	var names []string
	for _, leaf := range n.Leaves(true) {
		names = append(names, strings.TrimPrefix(leaf.FullPath(), n.FullPath()+" "))
	}
	return names
}

// commandsPage is the page of all commands with their flags.
func commandsPage(root *kong.Node) string {
	var b strings.Builder
	b.WriteString(`# Commands

This page is made from the commands' own help (` + "`go test ./cmd/punchcard -run TestCommandsAreDocumented -update`" + `); ` +
		"`punchcard COMMAND --help`" + ` says the same.
Each flag can be set by a variable too: ` + "`--temporal-address` by `PUNCHCARD_TEMPORAL_ADDRESS`" + `, or by a file that
` + "`PUNCHCARD_TEMPORAL_ADDRESS_FILE`" + ` names. [operations.md](operations.md#settings) says more of those that a deployment needs.
`)
	for _, g := range commandGroups() {
		fmt.Fprintf(&b, "\n## %s\n", g.Title)
		for _, n := range root.Children {
			if n.Group != nil && n.Group.Key == g.Key {
				commandSection(&b, n)
			}
		}
	}
	return b.String()
}

func commandSection(b *strings.Builder, n *kong.Node) {
	fmt.Fprintf(b, "\n### %s\n\n%s\n", n.Name, n.Help)
	leaves := n.Leaves(true)
	if n.Leaf() {
		leaves = []*kong.Node{n}
	}
	if !n.Leaf() {
		b.WriteString("\n| command | does |\n|---|---|\n")
	}
	var arguments, flags []valueRow
	of := map[valueRow][]string{}
	note := func(rows *[]valueRow, r valueRow, leaf *kong.Node) {
		if of[r] == nil {
			*rows = append(*rows, r)
		}
		of[r] = append(of[r], strings.TrimPrefix(leaf.FullPath(), n.FullPath()+" "))
	}
	for _, leaf := range leaves {
		usage := strings.TrimPrefix(leaf.FullPath(), "punchcard ")
		for _, v := range leaf.Positional {
			name := strings.ToUpper(v.Name)
			if v.IsCumulative() {
				name += " …"
			}
			note(&arguments, valueRow{name: name, help: v.Help}, leaf)
			if !v.Required {
				name = "[" + name + "]"
			}
			usage += " " + name
		}
		for _, f := range leaf.Flags {
			if f.Required && len(f.Xor) == 0 && !slices.Contains([]string{"database", "code-keys"}, f.Name) {
				usage += " --" + f.Name
			}
			note(&flags, flagRow(f), leaf)
		}
		if n.Leaf() {
			fmt.Fprintf(b, "\n```sh\npunchcard %s\n```\n", usage)
		} else {
			fmt.Fprintf(b, "| `%s` | %s |\n", usage, escaped(leaf.Help))
		}
	}
	if len(arguments)+len(flags) == 0 {
		return
	}
	if n.Leaf() {
		b.WriteString("\n| | default | |\n|---|---|---|\n")
	} else {
		b.WriteString("\n| | default | of | |\n|---|---|---|---|\n")
	}
	for _, r := range append(arguments, flags...) {
		whose := ""
		switch {
		case n.Leaf():
		case len(of[r]) == len(leaves):
			whose = "all | "
		default:
			whose = strings.Join(of[r], ", ") + " | "
		}
		fmt.Fprintf(b, "| `%s` | %s | %s%s |\n", r.name, r.standard, whose, escaped(r.help))
	}
}

// valueRow is an argument or a flag.
type valueRow struct{ name, standard, help string }

func flagRow(f *kong.Flag) valueRow {
	r := valueRow{name: "--" + f.Name, help: f.Help}
	switch {
	case f.Required && len(f.Xor) > 0:
		r.standard = "one of these"
	case f.Required:
		r.standard = "required"
	case f.Tag.Negatable != "":
		r.name = "--no-" + f.Name
	case f.HasDefault && f.Default != "":
		r.standard = "`" + f.Default + "`"
	}
	return r
}

// escaped is text in a cell of a table.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
