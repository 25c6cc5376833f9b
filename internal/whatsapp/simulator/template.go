package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"punchcard/internal/whatsapp"
)

// templateKey is what a template is found by.
type templateKey struct{ name, language string }

// storedTemplate is a template of the business.
type storedTemplate struct{ whatsapp.TemplateInfo }

var (
	templateName     = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	templateLanguage = regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z]{2,4})?$`)
	variable         = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)
	couponForm       = regexp.MustCompile(`^[A-Za-z0-9]{1,15}$`)
	// misshapen is what a value may not have: Meta takes no line breaks, no tabs, and no more than four spaces in a row.
	misshapen = regexp.MustCompile(`[\n\r\t]| {5,}`)
)

// refused is how Meta turns a template down: 100, and the reason in the subcode.
func refused(subcode int, title, details string, args ...any) *graphError {
	return &graphError{code: 100, subcode: subcode, title: "Invalid parameter", userTitle: title, userMsg: fmt.Sprintf(details, args...)}
}

// postTemplate keeps a new template.
func (s *Simulator) postTemplate(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	var spec whatsapp.TemplateSpec
	if json.Unmarshal(raw, &spec) != nil {
		return invalid("the body is not a template")
	}
	if refusal := checkSpec(&spec); refusal != nil {
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates[templateKey{spec.Name, spec.Language}] != nil {
		return refused(2388024, "Content in This Language Already Exists",
			"There is already %s content for this template. You can create a new template and try again.", spec.Language)
	}
	number := 1_000_000_000_000_000 + rand.Int64N(8_000_000_000_000_000)
	info := whatsapp.TemplateInfo{TemplateSpec: spec, ID: strconv.FormatInt(number, 10), Status: "APPROVED"}
	approved := s.hook(0, "", "", "message_template_status_update", object{
		"event": "APPROVED", "message_template_id": number, "message_template_name": spec.Name,
		"message_template_language": spec.Language, "message_template_category": spec.Category, "reason": "NONE",
	})
	if s.commit(fact{Template: &info, Hooks: []hook{approved}}) != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"id": info.ID, "status": "PENDING", "category": spec.Category})
	return nil
}

// checkSpec refuses what Meta refuses, and brings the rest to one form.
func checkSpec(spec *whatsapp.TemplateSpec) *graphError {
	spec.Category, spec.ParameterFormat = strings.ToUpper(spec.Category), strings.ToUpper(spec.ParameterFormat)
	switch {
	case !templateName.MatchString(spec.Name):
		return invalid("Param name must be 1 to 512 lower-case letters, digits and underscores.")
	case !templateLanguage.MatchString(spec.Language):
		return invalid("Param language is not a language code.")
	case !slices.Contains([]string{"MARKETING", "UTILITY", "AUTHENTICATION"}, spec.Category):
		return invalid("Param category must be one of {MARKETING, UTILITY, AUTHENTICATION}.")
	case !slices.Contains([]string{"", "POSITIONAL", "NAMED"}, spec.ParameterFormat):
		return invalid("Param parameter_format must be one of {POSITIONAL, NAMED}.")
	}
	seen := map[string]bool{}
	for i := range spec.Components {
		c := &spec.Components[i]
		c.Type, c.Format = strings.ToUpper(c.Type), strings.ToUpper(c.Format)
		if seen[c.Type] {
			return invalid("Param components has two of %s.", c.Type)
		}
		seen[c.Type] = true
		if refusal := checkComponent(spec, c); refusal != nil {
			return refusal
		}
	}
	if !seen[whatsapp.ComponentBody] {
		return refused(2388072, "The message body format is incorrect", "A template needs a BODY.")
	}
	return nil
}

func checkComponent(spec *whatsapp.TemplateSpec, c *whatsapp.Component) *graphError {
	text := utf8.RuneCountInString(c.Text)
	example := c.Example
	if example == nil {
		example = &whatsapp.Example{}
	}
	switch c.Type {
	case whatsapp.ComponentHeader:
		switch c.Format {
		case "TEXT":
			names := variables(c.Text)
			if text < 1 || text > 60 || len(names) > 1 {
				return refused(2388047, "The message header format is incorrect", "A text header has 1 to 60 characters and at most one variable.")
			}
			return checkVariables(spec, c.Type, names, len(example.HeaderText), example.HeaderNamed)
		case "IMAGE", "VIDEO", "DOCUMENT", "LOCATION":
		default:
			return refused(2388047, "The message header format is incorrect", "A header's format is TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION.")
		}
	case whatsapp.ComponentBody:
		if text < 1 || text > 1024 {
			return refused(2388040, "Character limit exceeded", "A body has 1 to 1024 characters.")
		}
		trimmed := strings.TrimSpace(c.Text)
		for _, at := range variable.FindAllStringIndex(trimmed, -1) {
			if at[0] == 0 || at[1] == len(trimmed) {
				return refused(2388299, "Variables can't be at the start or end of the template", "Put words before the first variable and after the last.")
			}
		}
		samples := 0
		if len(example.BodyText) > 0 {
			samples = len(example.BodyText[0])
		}
		return checkVariables(spec, c.Type, variables(c.Text), samples, example.BodyNamed)
	case whatsapp.ComponentFooter:
		if text < 1 || text > 60 || len(variables(c.Text)) > 0 {
			return refused(2388073, "The message footer format is incorrect", "A footer has 1 to 60 characters and no variables.")
		}
	case whatsapp.ComponentButtons:
		return checkButtons(c.Buttons)
	default:
		return invalid("Param components: the simulator does not model %q.", c.Type)
	}
	return nil
}

func checkVariables(spec *whatsapp.TemplateSpec, component string, names []string, samples int, named []whatsapp.NamedExample) *graphError {
	for i, name := range names {
		_, err := strconv.Atoi(name)
		switch {
		case spec.ParameterFormat == "NAMED" && err == nil:
			return invalid("%s: variable %q of a NAMED template is a number.", component, name)
		case spec.ParameterFormat != "NAMED" && !slices.Contains(names, strconv.Itoa(i+1)):
			return invalid("%s: variables must be {{1}}, {{2}} … without a gap; names need parameter_format NAMED.", component)
		}
		if spec.ParameterFormat == "NAMED" && slices.ContainsFunc(named, func(e whatsapp.NamedExample) bool { return e.Name == name && e.Example != "" }) {
			samples++
		}
	}
	if samples != len(names) {
		return refused(2388043, `Message template "components" param is missing expected field(s)`,
			"component of type %s is missing expected field(s) (example): %d variables, %d samples", component, len(names), samples)
	}
	return nil
}

func checkButtons(buttons []whatsapp.ButtonSpec) *graphError {
	if len(buttons) < 1 || len(buttons) > 10 {
		return invalid("BUTTONS: 1 to 10 buttons are allowed.")
	}
	codes := 0
	for i, b := range buttons {
		if n := utf8.RuneCountInString(b.Text); b.Type != whatsapp.ButtonCopyCode && (n < 1 || n > 25) {
			return refused(2388040, "Character limit exceeded", "Button %d: a text has 1 to 25 characters.", i)
		}
		switch b.Type {
		case whatsapp.ButtonQuickReply:
		case whatsapp.ButtonURL:
			u, err := url.Parse(variable.ReplaceAllString(b.URL, "x"))
			if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
				return invalid("BUTTONS: button %d has no valid URL.", i)
			}
			names := variables(b.URL)
			if len(names) > 1 || (len(names) == 1 && !strings.HasSuffix(b.URL, "}}")) {
				return invalid("BUTTONS: the URL of button %d may have one variable, at its end.", i)
			}
			if len(names) != min(1, len(b.Example)) {
				return refused(2388043, `Message template "components" param is missing expected field(s)`, "Button %d: a URL with a variable needs a sample.", i)
			}
		case whatsapp.ButtonCopyCode:
			if codes++; codes > 1 || len(b.Example) != 1 || !couponForm.MatchString(b.Example[0]) {
				return invalid("BUTTONS: one COPY_CODE is allowed, with a sample of at most 15 letters and digits.")
			}
		case whatsapp.ButtonPhone:
			if _, ok := parsePhone(b.PhoneNumber); !ok {
				return invalid("BUTTONS: button %d has no phone number.", i)
			}
		default:
			return invalid("BUTTONS: the simulator does not model %q.", b.Type)
		}
	}
	return nil
}

// variables are the names in a text's {{…}}, each once, in order.
func variables(text string) []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// getTemplates lists templates, by name, language and status where asked, in pages.
func (s *Simulator) getTemplates(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	q := r.URL.Query()
	limit, from := 25, 0
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return invalid("Param limit must be a positive number.")
		}
		limit = min(n, 1000)
	}
	if v := q.Get("after"); v != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(v, "after-"))
		if err != nil || n < 0 {
			return &graphError{code: 131059, title: "Invalid pagination cursor"}
		}
		from = n
	}
	s.mu.Lock()
	found := []whatsapp.TemplateInfo{}
	for _, t := range s.listed {
		if (q.Get("name") == "" || q.Get("name") == t.Name) && (q.Get("language") == "" || q.Get("language") == t.Language) &&
			(q.Get("status") == "" || q.Get("status") == t.Status) {
			found = append(found, t.TemplateInfo)
		}
	}
	s.mu.Unlock()
	from = min(from, len(found))
	end := min(from+limit, len(found))
	paging := object{"cursors": object{"before": "after-" + strconv.Itoa(from), "after": "after-" + strconv.Itoa(end)}}
	if end < len(found) {
		q.Set("after", "after-"+strconv.Itoa(end))
		next := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}
		paging["next"] = next.String()
	}
	writeJSON(w, http.StatusOK, object{"data": found[from:end], "paging": paging})
	return nil
}

// parameter is a value in a template message.
type parameter struct {
	Type     string `json:"type"`
	Name     string `json:"parameter_name"`
	Text     string `json:"text"`
	Payload  string `json:"payload"`
	Coupon   string `json:"coupon_code"`
	Image    *media `json:"image"`
	Video    *media `json:"video"`
	Document *media `json:"document"`
	Location *struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Name      string  `json:"name"`
		Address   string  `json:"address"`
	} `json:"location"`
}

// component is a part of a template message.
type component struct {
	Type       string      `json:"type"`
	SubType    string      `json:"sub_type"`
	Index      any         `json:"index"` // a number, or one in a string
	Parameters []parameter `json:"parameters"`
}

// readTemplate fills a template in. The caller holds mu.
func (s *Simulator) readTemplate(raw json.RawMessage, m *message) *graphError {
	var x struct {
		Name     string `json:"name"`
		Language struct {
			Code   string `json:"code"`
			Policy string `json:"policy"`
		} `json:"language"`
		Components []component `json:"components"`
	}
	if refusal := strict(raw, "template", &x); refusal != nil {
		return refusal
	}
	if x.Name == "" || x.Language.Code == "" {
		return missing("The parameters template['name'] and template['language']['code'] are required.")
	}
	t := s.templates[templateKey{x.Name, x.Language.Code}]
	if t == nil || t.Status != "APPROVED" {
		return &graphError{
			status: http.StatusNotFound, code: 132001, title: "Template name does not exist in the translation",
			details: fmt.Sprintf("template name (%s) does not exist in %s", x.Name, x.Language.Code),
		}
	}
	m.Template, m.Category = t.Name, strings.ToLower(t.Category)
	given := map[string]component{}
	for _, c := range x.Components {
		key := strings.ToLower(c.Type)
		switch key {
		case "header", "body":
		case "button":
			index, err := strconv.Atoi(fmt.Sprint(c.Index))
			if err != nil {
				return badValue("Button index must be a number")
			}
			key += strconv.Itoa(index)
		default:
			return invalid("Param template['components'] type must be one of {HEADER, BODY, BUTTON}.")
		}
		if _, twice := given[key]; twice {
			return invalid("Param template['components'] has %s twice.", key)
		}
		given[key] = c
	}
	for _, c := range t.Components {
		var refusal *graphError
		switch c.Type {
		case whatsapp.ComponentHeader:
			refusal = t.fillHeader(c, given["header"].Parameters, m)
		case whatsapp.ComponentBody:
			m.Text, refusal = t.fill("body", c.Text, given["body"].Parameters)
			if utf8.RuneCountInString(m.Text) > 1024 {
				refusal = &graphError{code: 132005, title: "Template hydrated text too long", details: "body: the text is longer than 1024 characters"}
			}
		case whatsapp.ComponentFooter:
			m.Footer = c.Text
		case whatsapp.ComponentButtons:
			for i, b := range c.Buttons {
				key := "button" + strconv.Itoa(i)
				var filled button
				value, has := given[key]
				if filled, refusal = fillButton(i, b, value, has); refusal != nil {
					break
				}
				m.Buttons = append(m.Buttons, filled)
				delete(given, key)
			}
		}
		if refusal != nil {
			return refusal
		}
		delete(given, strings.ToLower(c.Type))
	}
	for key, c := range given {
		if len(c.Parameters) > 0 || strings.HasPrefix(key, "button") {
			return mismatch(key, len(c.Parameters), 0)
		}
	}
	return nil
}

// mismatch is Meta's words for the wrong number of values.
func mismatch(part string, got, want int) *graphError {
	return &graphError{
		code: 132000, title: "Number of parameters does not match the expected number of params",
		details: fmt.Sprintf("%s: number of localizable_params (%d) does not match the expected number of params (%d)", part, got, want),
	}
}

// fill puts values into a text.
func (t *storedTemplate) fill(part, text string, values []parameter) (string, *graphError) {
	names := variables(text)
	if len(values) != len(names) {
		return "", mismatch(part, len(values), len(names))
	}
	byName := map[string]string{}
	for i, v := range values {
		name := v.Name
		switch {
		case v.Type != "text":
			return "", badValue("%s: the simulator models parameters of type text only", part)
		case v.Text == "":
			return "", missing("%s: Parameter of type text is missing text value", part)
		case misshapen.MatchString(v.Text):
			return "", &graphError{code: 132012, title: "Parameter format does not match format in the created template",
				details: part + ": Param text cannot have new-line/tab characters or more than 4 consecutive spaces"}
		case t.ParameterFormat != "NAMED" && name != "":
			return "", invalid("%s: the template's parameters have no names", part)
		case t.ParameterFormat != "NAMED":
			name = strconv.Itoa(i + 1)
		case name == "" || !slices.Contains(names, name):
			return "", invalid("%s: Parameter name is missing or empty, or not the template's", part)
		}
		byName[name] = v.Text
	}
	if len(byName) != len(names) {
		return "", mismatch(part, len(byName), len(names))
	}
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		return byName[variable.FindStringSubmatch(v)[1]]
	}), nil
}

func (t *storedTemplate) fillHeader(c whatsapp.Component, values []parameter, m *message) (refusal *graphError) {
	if c.Format == "TEXT" {
		m.Header, refusal = t.fill("header", c.Text, values)
		return refusal
	}
	if len(values) != 1 {
		return mismatch("header", len(values), 1)
	}
	v := values[0]
	if !strings.EqualFold(v.Type, c.Format) {
		return &graphError{code: 132012, title: "Parameter format does not match format in the created template",
			details: fmt.Sprintf("header: Format mismatch, expected %s, received %s", c.Format, strings.ToUpper(v.Type))}
	}
	file := map[string]*media{"IMAGE": v.Image, "VIDEO": v.Video, "DOCUMENT": v.Document}[c.Format]
	switch {
	case c.Format == "LOCATION" && v.Location == nil, c.Format != "LOCATION" && file == nil:
		return missing("header: Parameter of type %s has no value", v.Type)
	case file != nil:
		m.Header, m.Link = file.Filename, file.Link
		return file.check("header")
	}
	m.Header = v.Location.Name
	return nil
}

// fillButton is a template's button with its value.
func fillButton(i int, b whatsapp.ButtonSpec, value component, has bool) (button, *graphError) {
	kind := map[string]string{
		whatsapp.ButtonQuickReply: reply, whatsapp.ButtonURL: link, whatsapp.ButtonCopyCode: copyCode, whatsapp.ButtonPhone: call,
	}[b.Type]
	filled := button{Title: b.Text, Kind: kind}
	wanted := map[string]string{reply: "quick_reply", link: "url", copyCode: "copy_code"}[kind]
	if has && (!strings.EqualFold(value.SubType, wanted) || len(value.Parameters) != 1) {
		return filled, badValue("buttons: Button at index %d is of type %s and takes one parameter of it", i, b.Type)
	}
	var p parameter
	if has {
		p = value.Parameters[0]
	}
	absent := missing("buttons: Button at index %d of type %s requires a parameter", i, b.Type)
	switch kind {
	case reply:
		filled.ID = b.Text // Meta sends the text back when no payload was given
		if has {
			if p.Type != "payload" || p.Payload == "" || utf8.RuneCountInString(p.Payload) > 256 {
				return filled, badValue("buttons: Button at index %d needs a payload of 1 to 256 characters", i)
			}
			filled.ID = p.Payload
		}
	case link:
		filled.Value = b.URL
		if dynamic := len(variables(b.URL)) > 0; dynamic != has {
			if dynamic {
				return filled, absent
			}
			return filled, mismatch(fmt.Sprintf("button %d", i), 1, 0)
		}
		if has {
			if p.Type != "text" || p.Text == "" {
				return filled, absent
			}
			filled.Value = variable.ReplaceAllLiteralString(b.URL, p.Text)
		}
	case copyCode:
		if !has {
			return filled, absent
		}
		if p.Type != "coupon_code" || !couponForm.MatchString(p.Coupon) {
			return filled, badValue("buttons: the coupon code must be 1 to 15 letters and digits")
		}
		filled.Value = p.Coupon
		if filled.Title == "" {
			filled.Title = "Copy code"
		}
	case call:
		filled.Value = b.PhoneNumber
	}
	return filled, nil
}
