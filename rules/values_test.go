package rules_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard/rules"
)

const everyType = `
  every.type:
    s: string
    n: number?
    i: integer?
    b: bool?
    d: date?
    t: time?
    m: money?
    c: code?
    l: list of integer
    items: [{name: string, price: money?}]
    address: {city: string, lines: [string]}
`

// schema is the schema of every.type.
func schema(t rapid.TB) rules.Schema {
	t.Helper()
	p, found := rules.LoadFiles(map[string]string{"program.yaml": minimal + "events:" + everyType})
	require.Empty(t, found.Errors())
	s, ok := p.Schema("every.type")
	require.True(t, ok)
	return s
}

const minimal = `program: Minimal
business: Minimal
privacy_url: https://minimal.example
language: en
timezone: UTC
currency: EUR
keywords: {stop: [STOP]}
`

func TestSchema_Normalize(t *testing.T) {
	t.Parallel()
	s := schema(t)
	const rest = `, "l": [1, 2], "items": [], "address": {"city": "x", "lines": []}`
	tests := []struct{ name, in, want, err string }{
		{name: "least", in: `{"s": ""` + rest + `}`, want: `{"s": ""` + rest + `}`},
		{name: "null is absent", in: `{"s": "", "n": null` + rest + `}`, want: `{"s": ""` + rest + `}`},
		{
			name: "all", in: `{"s": "é", "n": 1.5, "i": 2.0, "b": false, "d": "2026-11-22", "t": "2026-11-22T10:00:00.1234567+01:00",
				"m": 4.50, "c": "X1", "l": [], "items": [{"name": "a", "price": 1}], "address": {"city": "x", "lines": ["a", "b"]}}`,
			want: `{"s": "é", "n": 1.5, "i": 2, "b": false, "d": "2026-11-22", "t": "2026-11-22T09:00:00.123456Z",
				"m": 4.5, "c": "X1", "l": [], "items": [{"name": "a", "price": 1}], "address": {"city": "x", "lines": ["a", "b"]}}`,
		},
		{name: "missing", in: `{"l": []}`, err: `s: a value is required`},
		{name: "null for missing", in: `{"s": null` + rest + `}`, err: `s: a value is required`},
		{name: "unknown", in: `{"s": "", "item": []` + rest + `}`, err: `item: there is no such field; did you mean "items"?`},
		{name: "unknown and strange", in: `{"s": "", "<script>": 1` + rest + `}`, err: `?: there is no such field`},
		{name: "string for number", in: `{"s": "", "n": "5"` + rest + `}`, err: `n: a number is expected, not a string`},
		{name: "number for string", in: `{"s": 5` + rest + `}`, err: `s: a string is expected, not a number`},
		{name: "fraction", in: `{"s": "", "i": 5.5` + rest + `}`, err: `i: an integer is expected, not a fraction`},
		{name: "too large", in: `{"s": "", "i": 9007199254740993` + rest + `}`, err: `i: the integer is too large`},
		{name: "number for bool", in: `{"s": "", "b": 1` + rest + `}`, err: `b: a bool is expected, not a number`},
		{name: "no date", in: `{"s": "", "d": "2026-02-30"` + rest + `}`, err: `d: a date is expected: 2006-01-02`},
		{name: "time for date", in: `{"s": "", "d": "2026-02-03T00:00:00Z"` + rest + `}`, err: `d: a date is expected: 2006-01-02`},
		{name: "date for time", in: `{"s": "", "t": "2026-02-03"` + rest + `}`, err: `t: a time is expected: 2006-01-02T15:04:05Z`},
		{name: "map for list", in: `{"s": "", "l": {}, "items": [], "address": {"city": "x", "lines": []}}`, err: `l: a list is expected, not a map`},
		{name: "null in list", in: `{"s": "", "l": [null], "items": [], "address": {"city": "x", "lines": []}}`, err: `l[0]: a value is required`},
		{name: "deep", in: `{"s": "", "l": [], "items": [{"name": "a", "price": "4"}], "address": {"city": "x", "lines": []}}`, err: `items[0].price: a number is expected, not a string`},
		{name: "deep missing", in: `{"s": "", "l": [], "items": [], "address": {"lines": []}}`, err: `address.city: a value is required`},
		{name: "NUL", in: `{"s": "a\u0000b"` + rest + `}`, err: `s: the string is not UTF-8 text`},
		{name: "long", in: `{"s": "` + strings.Repeat("x", 4097) + `"` + rest + `}`, err: `s: a string has at most 4 KB`},
		{name: "long list", in: `{"s": "", "l": [1` + strings.Repeat(",1", 200) + `], "items": [], "address": {"city": "x", "lines": []}}`, err: `l: a list has at most 200 values`},
	}
	for _, test := range tests {
		for _, exact := range []bool{true, false} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				if test.name == "too large" && !exact {
					test.err = `i: the integer is too large`
				}
				got, err := s.Normalize(decoded(t, test.in, exact))
				if test.err != "" {
					require.EqualError(t, err, test.err)
					var value *rules.ValueError
					require.ErrorAs(t, err, &value)
					return
				}
				require.NoError(t, err)
				stored, err := json.Marshal(got)
				require.NoError(t, err)
				require.JSONEq(t, test.want, string(stored))
			})
		}
	}
}

func decoded(t testing.TB, text string, exact bool) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if exact {
		d.UseNumber()
	}
	var values map[string]any
	require.NoError(t, d.Decode(&values))
	return values
}

func TestSchema_Normalize_whatJSONCannotSay(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		_, err := s.NormalizePartial(map[string]any{"n": f})
		require.EqualError(t, err, "n: the number is not finite")
	}
	_, err := s.NormalizePartial(map[string]any{"n": json.Number("1e999")})
	require.EqualError(t, err, "n: the number is not finite")
	_, err = s.NormalizePartial(map[string]any{"n": json.Number("x")})
	require.Error(t, err)
	_, err = s.NormalizePartial(map[string]any{"s": "a\xff"})
	require.EqualError(t, err, "s: the string is not UTF-8 text")
	_, err = s.NormalizePartial(map[string]any{"s": struct{}{}})
	require.EqualError(t, err, "s: a string is expected, not something else")
}

func TestSchema_NormalizePartial(t *testing.T) {
	t.Parallel()
	s := schema(t)
	got, err := s.NormalizePartial(map[string]any{"n": 1.0, "b": nil})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"n": 1.0, "b": nil}, got)
	_, err = s.NormalizePartial(map[string]any{"address": map[string]any{}})
	require.EqualError(t, err, "address.city: a value is required")
}

func TestSchema_Decode(t *testing.T) {
	t.Parallel()
	s := schema(t)
	in := `{"s": "é", "n": 2, "i": 2, "d": "2026-11-22", "t": "2026-11-22T10:00:00+01:00", "l": [1, 2],
		"items": [{"name": "a"}], "address": {"city": "x", "lines": ["a"]}}`
	want := map[string]any{
		"s": "é", "n": 2.0, "i": 2, "b": nil, "m": nil, "c": nil, "l": []any{1, 2},
		"d": time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), "t": time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		"items": []any{map[string]any{"name": "a", "price": nil}}, "address": map[string]any{"city": "x", "lines": []any{"a"}},
	}
	for _, exact := range []bool{true, false} {
		stored, err := s.Normalize(decoded(t, in, exact))
		require.NoError(t, err)
		require.Equal(t, want, s.Decode(stored))
		again, err := json.Marshal(stored)
		require.NoError(t, err)
		require.Equal(t, want, s.Decode(decoded(t, string(again), exact)))
	}
	require.Len(t, s.Decode(nil), len(s.Fields()))
	require.Equal(t, []string{"c"}, s.CodeFields())
	require.True(t, s.Numeric("m"))
	require.True(t, s.Numeric("i"))
	require.False(t, s.Numeric("s"))
	require.False(t, s.Numeric("nothing"))
}

// TestSchema_normal checks that whatever Normalize accepts is stable: it is accepted again, unchanged, after a journey
// through JSON.
func TestSchema_normal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := schema(t)
		value := rapid.OneOf(
			rapid.Just[any](nil), rapid.Map(rapid.String(), func(s string) any { return s }),
			rapid.Map(rapid.Float64(), func(f float64) any { return f }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
			rapid.Map(rapid.SliceOf(rapid.Float64()), func(fs []float64) any {
				out := make([]any, len(fs))
				for i, f := range fs {
					out[i] = f
				}
				return out
			}),
			rapid.Just[any]("2026-11-22"), rapid.Just[any]("2026-11-22T10:00:00+01:00"),
		)
		names := make([]string, 0, len(s.Fields()))
		for _, f := range s.Fields() {
			names = append(names, f.Name)
		}
		in := rapid.MapOf(rapid.SampledFrom(names), value).Draw(t, "values")
		stored, err := s.NormalizePartial(in)
		if err != nil {
			return
		}
		text, err := json.Marshal(stored)
		require.NoError(t, err)
		var back map[string]any
		require.NoError(t, json.Unmarshal(text, &back))
		again, err := s.NormalizePartial(back)
		require.NoError(t, err)
		require.Equal(t, stored, again)
	})
}
