package punchcard_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"punchcard"
)

// A line ends as whatever wrote the file has it, and wherever a read happens to end.
func TestCodeFileLineEnds(t *testing.T) {
	t.Parallel()
	want := []punchcard.CodeLine{{2, "AAAA1"}, {4, "BBBB2"}, {5, "CCCC3"}}
	for name, end := range map[string]string{"line feeds": "\n", "both": "\r\n", "carriage returns": "\r"} {
		for _, last := range []string{"", end} {
			text := strings.Join([]string{"code", "AAAA1", "", "BBBB2,x", "CCCC3"}, end) + last
			for _, from := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				file := punchcard.NewCodeFile(from, false)
				var got []punchcard.CodeLine
				for {
					line, err := file.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					require.NoError(t, err)
					got = append(got, line)
				}
				require.Equal(t, want, got, name)
			}
		}
	}
}
