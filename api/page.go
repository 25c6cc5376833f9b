package api

import (
	"encoding/base64"
	"strconv"

	"punchcard"
)

// Paging is how much of a list is asked for, and from where.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items at most"`
	After string `query:"after" maxLength:"200" doc:"The next of the page before: what comes after it is answered"`
}

// list is one page of a list.
type list[T any] struct {
	Items []T     `json:"items" nullable:"false"`
	Next  *string `json:"next" doc:"Give this as after for the page that follows; null at the end"`
}

// output is an answer with a body.
type output[T any] struct{ Body T }

func answer[T any](body T) *output[T] { return &output[T]{Body: body} }

// paged makes a page of rows that were read one beyond the limit: the one beyond tells that there is more.
func paged[R, T any](rows []R, limit int, id func(R) string, item func(R) T) list[T] {
	l := list[T]{Items: make([]T, 0, min(len(rows), limit))}
	if len(rows) > limit {
		rows = rows[:limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(id(rows[limit-1])))
		l.Next = &next
	}
	for _, r := range rows {
		l.Items = append(l.Items, item(r))
	}
	return l
}

var errCursor = punchcard.Errorf(punchcard.CodeInvalid, "that is not the next of a page of this list").In("after")

// afterID reads a cursor of a list whose ids have a prefix; "" for none.
func (p Paging) afterID(prefix string) (string, error) {
	if p.After == "" {
		return "", nil
	}
	id, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || !punchcard.IsID(prefix, string(id)) {
		return "", errCursor
	}
	return string(id), nil
}

// afterNumber reads a cursor of a list whose ids are numbers; 0 for none.
func (p Paging) afterNumber() (int64, error) {
	if p.After == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil {
		return 0, errCursor
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return 0, errCursor
	}
	return n, nil
}
