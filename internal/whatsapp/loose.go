package whatsapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// loose is a string that may come as a number, a bool or null.
type loose string

func (l *loose) UnmarshalJSON(raw []byte) error {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		*l = ""
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return errNotText
		}
		*l = loose(strings.ReplaceAll(s, "\x00", "\uFFFD"))
	case raw[0] == '{' || raw[0] == '[':
		return errNotText
	default:
		*l = loose(raw)
	}
	return nil
}

// count is a number that is not negative, and 0 for what is none.
func count(l loose) int64 {
	n, err := strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// seconds is a Unix time in seconds, as a string or a number. Absent is the zero time.
type seconds time.Time

// latest is the last second that JSON can tell of a time.
const latest = 253402300799

func (s *seconds) UnmarshalJSON(raw []byte) error {
	var l loose
	if err := l.UnmarshalJSON(raw); err != nil {
		return errNotTime
	}
	if l == "" {
		return nil
	}
	n, err := strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 || n > latest {
		return errNotTime
	}
	*s = seconds(time.Unix(n, 0).UTC())
	return nil
}

// What can be wrong with a value. The words are fixed, since json's own would quote it.
var (
	errNotText   = errors.New("a list or an object where text belongs")
	errNotTime   = errors.New("timestamp is not a number of seconds")
	errNotObject = errors.New("not an object of the known form")
)

// decode reads an object, and nothing for a part that is absent. Its errors say nothing of the value.
func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	err := json.Unmarshal(raw, into)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotText):
		return errNotText
	case errors.Is(err, errNotTime):
		return errNotTime
	}
	return errNotObject
}

// list splits a JSON list into its items.
func list(raw json.RawMessage) ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if len(raw) == 0 {
		return nil, true
	}
	return items, json.Unmarshal(raw, &items) == nil
}

// member is one name and value of a JSON object.
type member struct {
	name string
	raw  json.RawMessage
}

// members splits a JSON object, in the order in which it is written: updates keep that order.
func members(raw json.RawMessage) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, false
		}
		out = append(out, member{name, value})
	}
	return out, true
}
