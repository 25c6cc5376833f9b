package whatsapp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// TemplateSpec is a template as Meta keeps it.
type TemplateSpec struct {
	Name            string      `json:"name"` // lower-case letters, digits and underscores; at most 512
	Language        string      `json:"language"`
	Category        string      `json:"category"`                   // MARKETING, UTILITY or AUTHENTICATION
	ParameterFormat string      `json:"parameter_format,omitempty"` // POSITIONAL (the default) or NAMED
	Components      []Component `json:"components"`
}

// TemplateInfo is a template and its standing with Meta.
type TemplateInfo struct {
	TemplateSpec
	ID             string `json:"id"`
	Status         string `json:"status"` // APPROVED, PENDING, REJECTED, PAUSED, DISABLED … an open list
	RejectedReason string `json:"rejected_reason,omitempty"`
}

// The types of Component.
const (
	ComponentHeader  = "HEADER"
	ComponentBody    = "BODY"
	ComponentFooter  = "FOOTER"
	ComponentButtons = "BUTTONS"
)

// Component is a part of a template.
type Component struct {
	Type    string       `json:"type"`
	Format  string       `json:"format,omitempty"` // of a header: TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION
	Text    string       `json:"text,omitempty"`
	Example *Example     `json:"example,omitempty"` // required by Meta when the text has variables
	Buttons []ButtonSpec `json:"buttons,omitempty"`
}

// Example holds the sample values that Meta's reviewers see.
type Example struct {
	HeaderText   []string       `json:"header_text,omitempty"`
	HeaderHandle []string       `json:"header_handle,omitempty"`
	HeaderNamed  []NamedExample `json:"header_text_named_params,omitempty"`
	BodyText     [][]string     `json:"body_text,omitempty"`
	BodyNamed    []NamedExample `json:"body_text_named_params,omitempty"`
}

// NamedExample is the sample value of a named variable.
type NamedExample struct {
	Name    string `json:"param_name"`
	Example string `json:"example"`
}

// UnmarshalJSON reads an example of any shape. Meta's lists hold shapes of every age; a sample is not worth the page.
func (e *Example) UnmarshalJSON(raw []byte) error {
	type plain Example
	var p plain
	if json.Unmarshal(raw, &p) == nil {
		*e = Example(p)
	}
	return nil
}

// The types of ButtonSpec.
const (
	ButtonQuickReply = "QUICK_REPLY"
	ButtonURL        = "URL"
	ButtonCopyCode   = "COPY_CODE"
	ButtonPhone      = "PHONE_NUMBER"
)

// ButtonSpec is a button of a template.
type ButtonSpec struct {
	Type        string  `json:"type"`
	Text        string  `json:"text,omitempty"` // at most 25 characters; Meta writes its own on COPY_CODE
	URL         string  `json:"url,omitempty"`  // may end in {{1}}
	PhoneNumber string  `json:"phone_number,omitempty"`
	Example     Samples `json:"example,omitempty"` // of the address or the code
}

// MarshalJSON writes the sample of a code as a string and that of an address as a list, as Meta wants them.
func (b ButtonSpec) MarshalJSON() ([]byte, error) {
	type plain ButtonSpec
	if b.Type == ButtonCopyCode && len(b.Example) == 1 {
		return json.Marshal(struct {
			plain
			Example string `json:"example"`
		}{plain(b), b.Example[0]})
	}
	return json.Marshal(plain(b))
}

// Samples is a sample value, which Meta writes as a string for a code and as a list for an address.
type Samples []string

// UnmarshalJSON reads a string or a list, and takes anything else as no sample.
func (s *Samples) UnmarshalJSON(raw []byte) error {
	var one string
	var many []string
	switch {
	case json.Unmarshal(raw, &one) == nil && one != "":
		*s = Samples{one}
	case json.Unmarshal(raw, &many) == nil:
		*s = many
	}
	return nil
}

// maxPages bounds ListTemplates. An account holds at most 6,000 templates.
const maxPages = 200

// ListTemplates is every template of the account, in all languages and of any standing. The error is an *Error.
func (c *Client) ListTemplates(ctx context.Context) ([]TemplateInfo, error) {
	query := url.Values{
		"limit":  {"100"},
		"fields": {"id,name,language,status,category,parameter_format,components,rejected_reason"},
	}
	var all []TemplateInfo
	for range maxPages {
		var page struct {
			Data   []TemplateInfo `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next string `json:"next"`
			} `json:"paging"`
		}
		if err := c.call(ctx, http.MethodGet, c.cfg.AccountID+"/message_templates", query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		after := page.Paging.Cursors.After
		// The last page has a cursor too; only next says that more follows. Its address is not called: it is an answer's
		// word on where to send the token.
		if page.Paging.Next == "" || after == "" || after == query.Get("after") {
			return all, nil
		}
		query.Set("after", after)
	}
	return nil, refuse("the list of templates does not end")
}

// CreateTemplate asks Meta for a template. The answer's Status is mostly PENDING, and Category may differ from what was
// asked for. IsDuplicateTemplate recognises one that is there already. The error is an *Error.
func (c *Client) CreateTemplate(ctx context.Context, spec TemplateSpec) (TemplateInfo, error) {
	var answer struct {
		ID       string `json:"id"`
		Status   string `json:"status"`
		Category string `json:"category"`
	}
	if err := c.call(ctx, http.MethodPost, c.cfg.AccountID+"/message_templates", nil, spec, &answer); err != nil {
		return TemplateInfo{}, err
	}
	info := TemplateInfo{TemplateSpec: spec, ID: answer.ID, Status: answer.Status}
	info.Category = firstOf(answer.Category, spec.Category)
	return info, nil
}
