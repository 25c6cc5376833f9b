package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a value may be at most. The sizes keep one event small beside what an expression may do with it.
const (
	maxString = 4 << 10
	maxList   = 200
	maxExact  = 1 << 53 // beyond it a float64 does not tell one integer from the next
)

// ValueError says which value a schema refuses, by its path, and why. It never holds the value itself.
type ValueError struct {
	Path    string
	Message string
}

// Error is the path and the message: "items[0].price: a number is expected, not a string".
func (e *ValueError) Error() string { return e.Path + ": " + e.Message }

// Normalize checks decoded JSON, whether its numbers were kept as json.Number or became float64, against the schema and
// answers what to store: dates as 2006-01-02, times as RFC 3339 in UTC, integers as int64, and no nulls.
//
// The error is a *ValueError for the first value that is refused: an unknown or missing name, a wrong type, a string over
// 4 KB or not text, a list over 200.
func (s Schema) Normalize(values map[string]any) (map[string]any, error) {
	return normalizeRecord("", s.fields, values, false)
}

// NormalizePartial is Normalize where no field at the top is required: a customer's attributes come one at a time. A null is
// kept, and means that the attribute is to be forgotten.
func (s Schema) NormalizePartial(values map[string]any) (map[string]any, error) {
	return normalizeRecord("", s.fields, values, true)
}

func normalizeRecord(path string, fields []Field, values map[string]any, partial bool) (map[string]any, error) {
	record := FieldType{Kind: TypeRecord, Fields: fields}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := record.field(name); ok {
			continue
		}
		// The name comes from outside: it is shown only if it looks like one.
		shown := name
		if !fieldName.MatchString(name) {
			shown = "?"
		}
		e := &ValueError{Path: join(path, shown), Message: "there is no such field"}
		if near := nearest(name, record.names()); near != "" {
			e.Message += fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, e
	}
	out := make(map[string]any, len(values))
	for _, f := range fields {
		value, present := values[f.Name]
		switch {
		case partial && present && value == nil:
			out[f.Name] = nil
		case value == nil && (f.Optional || partial):
		case value == nil:
			return nil, &ValueError{Path: join(path, f.Name), Message: "a value is required"}
		default:
			v, err := normalizeValue(join(path, f.Name), f.Type, value)
			if err != nil {
				return nil, err
			}
			out[f.Name] = v
		}
	}
	return out, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func normalizeValue(path string, t FieldType, value any) (any, error) {
	wrong := func() error {
		return &ValueError{Path: path, Message: fmt.Sprintf("%s is expected, not %s", article(t.Kind), jsonKind(value))}
	}
	switch t.Kind {
	case TypeNumber, TypeMoney, TypeInteger:
		return normalizeNumber(path, t, value)
	case TypeBool:
		if b, ok := value.(bool); ok {
			return b, nil
		}
		return nil, wrong()
	case TypeList:
		items, ok := value.([]any)
		if !ok {
			return nil, wrong()
		}
		if len(items) > maxList {
			return nil, &ValueError{Path: path, Message: fmt.Sprintf("a list has at most %d values", maxList)}
		}
		out := make([]any, len(items))
		for i, item := range items {
			at := path + "[" + strconv.Itoa(i) + "]"
			if item == nil {
				return nil, &ValueError{Path: at, Message: "a value is required"}
			}
			v, err := normalizeValue(at, *t.Of, item)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case TypeRecord:
		m, ok := value.(map[string]any)
		if !ok {
			return nil, wrong()
		}
		return normalizeRecord(path, t.Fields, m, false)
	default:
		s, ok := value.(string)
		if !ok {
			return nil, wrong()
		}
		return normalizeString(path, t.Kind, s)
	}
}

func normalizeString(path string, kind TypeKind, s string) (any, error) {
	refuse := func(message string) (any, error) { return nil, &ValueError{Path: path, Message: message} }
	switch {
	case len(s) > maxString:
		return refuse(fmt.Sprintf("a string has at most %d KB", maxString>>10))
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return refuse("the string is not UTF-8 text")
	}
	switch kind {
	case TypeDate:
		d, err := time.Parse(time.DateOnly, s)
		if err != nil || d.Year() < 1 {
			return refuse("a date is expected: 2006-01-02")
		}
		return d.Format(time.DateOnly), nil
	case TypeTime:
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
			return refuse("a time is expected: 2006-01-02T15:04:05Z")
		}
		// Both databases keep microseconds.
		return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano), nil
	default:
		return s, nil
	}
}

func normalizeNumber(path string, t FieldType, value any) (any, error) {
	f, ok := number(value)
	if !ok {
		return nil, &ValueError{Path: path, Message: fmt.Sprintf("%s is expected, not %s", article(t.Kind), jsonKind(value))}
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, &ValueError{Path: path, Message: "the number is not finite"}
	}
	if t.Kind != TypeInteger {
		return f, nil
	}
	if f != math.Trunc(f) {
		return nil, &ValueError{Path: path, Message: "an integer is expected, not a fraction"}
	}
	if math.Abs(f) >= maxExact {
		return nil, &ValueError{Path: path, Message: "the integer is too large"}
	}
	return int64(f), nil
}

// number reads what may stand for a number in decoded JSON.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil && !math.IsInf(f, 0) {
			return 0, false
		}
		return f, true
	case float64:
		return v, true
	case float32:
		return float64(v), true
	case int:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	default:
		return 0, false
	}
}

func article(kind TypeKind) string {
	switch kind {
	case TypeInteger:
		return "an integer"
	case TypeMoney:
		return "a number"
	case TypeCode:
		return "a string"
	default:
		return "a " + string(kind)
	}
}

func jsonKind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a bool"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		if _, ok := number(value); ok {
			return "a number"
		}
		return "something else"
	}
}

// Decode turns what Normalize answered, stored as JSON and read back, into what expressions see: time.Time for a date or a
// time, int for an integer, float64 for other numbers, and every declared field, nil where it is absent. A stored value that
// no longer fits its type is nil too: the type of a field never changes, so that is a damaged row and no reason to fail.
func (s Schema) Decode(stored map[string]any) map[string]any {
	return decodeRecord(s.fields, stored)
}

func decodeRecord(fields []Field, stored map[string]any) map[string]any {
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		out[f.Name] = decodeValue(f.Type, stored[f.Name])
	}
	return out
}

func decodeValue(t FieldType, value any) any {
	switch t.Kind {
	case TypeInteger:
		if f, ok := number(value); ok && math.Abs(f) < maxExact {
			return int(f)
		}
	case TypeNumber, TypeMoney:
		if f, ok := number(value); ok {
			return f
		}
	case TypeBool:
		if b, ok := value.(bool); ok {
			return b
		}
	case TypeDate, TypeTime:
		if at, ok := value.(time.Time); ok {
			return at.UTC()
		}
		s, _ := value.(string)
		layout := time.RFC3339Nano
		if t.Kind == TypeDate {
			layout = time.DateOnly
		}
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC()
		}
	case TypeList:
		if items, ok := value.([]any); ok {
			out := make([]any, 0, min(len(items), maxList))
			for _, item := range items[:min(len(items), maxList)] {
				out = append(out, decodeValue(*t.Of, item))
			}
			return out
		}
	case TypeRecord:
		if m, ok := value.(map[string]any); ok {
			return decodeRecord(t.Fields, m)
		}
	default:
		if s, ok := value.(string); ok {
			return s
		}
	}
	return nil
}
