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
	// TTL is for how many seconds Meta tries to deliver: utility 30 to 43,200, authentication 30 to 900, marketing 43,200 to
	// 2,592,000 and only by SendMarketing. 0 is Meta's default, 30 days (authentication: 10 minutes).
	TTL int `json:"message_send_ttl_seconds,omitempty"`
}

// TemplateInfo is a template and its standing with Meta.
type TemplateInfo struct {
	TemplateSpec
	ID             string       `json:"id"`
	Status         string       `json:"status"` // APPROVED, PENDING, REJECTED, PAUSED, DISABLED … an open list
	RejectedReason string       `json:"rejected_reason,omitempty"`
	Quality        QualityScore `json:"quality_score,omitempty"`
}

// QualityScore is GREEN, YELLOW, RED or UNKNOWN, an open list; empty when Meta does not tell.
type QualityScore string

// MarshalJSON writes the score as Meta does, within an object.
func (q QualityScore) MarshalJSON() ([]byte, error) { return json.Marshal(object{"score": string(q)}) }

// UnmarshalJSON reads a score within an object, and takes anything else as none.
func (q *QualityScore) UnmarshalJSON(raw []byte) error {
	f, _ := readFields(raw)
	*q = QualityScore(f.text("score"))
	return nil
}

// The types of Component.
const (
	ComponentHeader  = "HEADER"
	ComponentBody    = "BODY"
	ComponentFooter  = "FOOTER"
	ComponentButtons = "BUTTONS"

	ComponentOffer    = "LIMITED_TIME_OFFER"
	ComponentCarousel = "CAROUSEL"
)

// Component is a part of a template.
type Component struct {
	Type    string       `json:"type"`
	Format  string       `json:"format,omitempty"` // of a header: TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION
	Text    string       `json:"text,omitempty"`
	Example *Example     `json:"example,omitempty"` // required by Meta when the text has variables
	Buttons []ButtonSpec `json:"buttons,omitempty"`
	Offer   *OfferSpec   `json:"limited_time_offer,omitempty"` // of a ComponentOffer
	Cards   []CardSpec   `json:"cards,omitempty"`              // of a ComponentCarousel: two to ten, all of the same form
}

// OfferSpec is what a limited-time offer says above the body.
type OfferSpec struct {
	Text       string `json:"text"`           // at most 16 characters
	Expiration bool   `json:"has_expiration"` // a countdown is shown; each message says when it ends
}

// CardSpec is a card of a carousel: a header of an image or a video, a body, and up to two buttons.
type CardSpec struct {
	Components []Component `json:"components"`
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
	ButtonFlow       = "FLOW"
)

// ButtonSpec is a button of a template.
type ButtonSpec struct {
	Type        string  `json:"type"`
	Text        string  `json:"text,omitempty"` // at most 25 characters; Meta writes its own on COPY_CODE
	URL         string  `json:"url,omitempty"`  // may end in {{1}}
	PhoneNumber string  `json:"phone_number,omitempty"`
	FlowID      string  `json:"flow_id,omitempty"`
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

const templateFields = "id,name,language,status,category,parameter_format,components,rejected_reason,quality_score"

// ListTemplates is every template of the account, in all languages and of any standing. The error is an *Error.
func (c *Client) ListTemplates(ctx context.Context) ([]TemplateInfo, error) {
	return pages[TemplateInfo](ctx, c, c.cfg.AccountID+"/message_templates", url.Values{"limit": {"100"}, "fields": {templateFields}})
}

// GetTemplate is one template, by Meta's id of it. The error is an *Error.
func (c *Client) GetTemplate(ctx context.Context, id string) (TemplateInfo, error) {
	var info TemplateInfo
	err := c.call(ctx, http.MethodGet, url.PathEscape(id), url.Values{"fields": {templateFields}}, nil, &info)
	return info, err
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

// TemplateEdit is what EditTemplate changes. Empty members stay as they are.
type TemplateEdit struct {
	Category        string      `json:"category,omitempty"` // cannot be changed on a template that is approved
	ParameterFormat string      `json:"parameter_format,omitempty"`
	Components      []Component `json:"components,omitempty"`               // all of them: they replace those that are there
	TTL             int         `json:"message_send_ttl_seconds,omitempty"` // as TemplateSpec's
}

// EditTemplate changes a template, by Meta's id of it, and has it reviewed again. Meta takes edits of templates that are
// approved, rejected or paused: of an approved one at most one a day and ten in 30 days. The error is an *Error.
func (c *Client) EditTemplate(ctx context.Context, id string, edit TemplateEdit) error {
	return c.confirmed(ctx, http.MethodPost, url.PathEscape(id), nil, edit)
}

// DeleteTemplate deletes the templates of this name in all languages. Messages on their way are still delivered for 30 days;
// the name of an approved one is not free again before that. The error is an *Error.
func (c *Client) DeleteTemplate(ctx context.Context, name string) error {
	if name == "" {
		return refuse("the template to delete has no name")
	}
	return c.confirmed(ctx, http.MethodDelete, c.cfg.AccountID+"/message_templates", url.Values{"name": {name}}, nil)
}

// DeleteTemplateByID deletes one language of a template, by Meta's id of it and its name. The error is an *Error.
func (c *Client) DeleteTemplateByID(ctx context.Context, id, name string) error {
	if id == "" || name == "" {
		return refuse("the template to delete has no id or no name") // without an id Meta would delete every language
	}
	return c.confirmed(ctx, http.MethodDelete, c.cfg.AccountID+"/message_templates", url.Values{"hsm_id": {id}, "name": {name}}, nil)
}

// UnpauseTemplate lets a template be sent again that was paused by pacing, by Meta's id of it. One that was paused for its
// quality comes back by itself. The error is an *Error.
func (c *Client) UnpauseTemplate(ctx context.Context, id string) error {
	return c.confirmed(ctx, http.MethodPost, url.PathEscape(id)+"/unpause", nil, object{})
}
