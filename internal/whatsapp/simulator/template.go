package simulator

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"punchcard/internal/whatsapp"
)

// templateKey is what a template is found by.
type templateKey struct {
	Name     string `json:"name"`
	Language string `json:"language"`
}

// templateSpec is a template as the business writes it.
type templateSpec struct {
	Name            string              `json:"name"`
	Language        string              `json:"language"`
	Category        string              `json:"category"`
	ParameterFormat string              `json:"parameter_format,omitempty"`
	TTL             int                 `json:"message_send_ttl_seconds,omitempty"` // how long a message is tried; 0 is Meta's default
	Components      []templateComponent `json:"components"`
}

// lifetimes are the least and the most that a TTL may be, in seconds. Source: Meta's page on time-to-live.
var lifetimes = map[string][2]int{"AUTHENTICATION": {30, 900}, "UTILITY": {30, 43_200}, "MARKETING": {43_200, 2_592_000}}

// storedTemplate is a template of the business and its standing.
type storedTemplate struct {
	templateSpec
	ID             string `json:"id"`
	Status         string `json:"status"`
	RejectedReason string `json:"rejected_reason,omitempty"`

	Standing standing `json:"standing"`
}

func (t *storedTemplate) key() templateKey { return templateKey{t.Name, t.Language} }

// templateComponent is a part of a template.
type templateComponent struct {
	Type    string                `json:"type"`
	Format  string                `json:"format,omitempty"`
	Text    string                `json:"text,omitempty"`
	Example *whatsapp.Example     `json:"example,omitempty"`
	Buttons []whatsapp.ButtonSpec `json:"buttons,omitempty"`
	Offer   *templateOffer        `json:"limited_time_offer,omitempty"`
	Cards   []templateCard        `json:"cards,omitempty"`
}

// The types of component that only marketing has.
const (
	componentOffer    = "LIMITED_TIME_OFFER"
	componentCarousel = "CAROUSEL"
)

type templateOffer struct {
	Text          string `json:"text"`
	HasExpiration bool   `json:"has_expiration"`
}

type templateCard struct {
	Components []templateComponent `json:"components"`
}

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

// checkSpec refuses what Meta refuses, and brings the rest to one form.
func checkSpec(spec *templateSpec) *graphError {
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
	if bounds := lifetimes[spec.Category]; spec.TTL != 0 && spec.TTL != -1 && (spec.TTL < bounds[0] || spec.TTL > bounds[1]) {
		return invalid("Param message_send_ttl_seconds of a %s template must be from %d to %d.", spec.Category, bounds[0], bounds[1])
	}
	seen, refusal := checkComponents(spec, spec.Components)
	switch {
	case refusal != nil:
		return refusal
	case !seen[whatsapp.ComponentBody]:
		return refused(2388072, "The message body format is incorrect", "A template needs a BODY.")
	case (seen[componentOffer] || seen[componentCarousel]) && spec.Category != "MARKETING":
		return invalid("LIMITED_TIME_OFFER and CAROUSEL are for MARKETING templates only.")
	case seen[componentOffer]:
		return checkOffer(spec, seen)
	case seen[componentCarousel]:
		return checkCarousel(spec, seen)
	}
	return nil
}

// checkComponents checks the parts of a template or of a card, and answers which there are.
func checkComponents(spec *templateSpec, components []templateComponent) (map[string]bool, *graphError) {
	seen := map[string]bool{}
	for i := range components {
		c := &components[i]
		c.Type, c.Format = strings.ToUpper(c.Type), strings.ToUpper(c.Format)
		if seen[c.Type] {
			return nil, invalid("Param components has two of %s.", c.Type)
		}
		seen[c.Type] = true
		if refusal := checkComponent(spec, c); refusal != nil {
			return nil, refusal
		}
	}
	return seen, nil
}

// checkOffer is what a limited-time offer asks of the rest of its template. Source: Meta's page on limited-time offers.
func checkOffer(spec *templateSpec, seen map[string]bool) *graphError {
	for _, c := range spec.Components {
		switch {
		case c.Type == whatsapp.ComponentBody && utf8.RuneCountInString(c.Text) > 600:
			return refused(2388040, "Character limit exceeded", "The body of a limited-time offer has at most 600 characters.")
		case c.Type == whatsapp.ComponentHeader && c.Format != "IMAGE" && c.Format != "VIDEO":
			return refused(2388047, "The message header format is incorrect", "The header of a limited-time offer is an IMAGE or a VIDEO.")
		case c.Type == whatsapp.ComponentButtons:
			// The code, when there is one, is the first button, and the address comes next.
			for i, b := range c.Buttons {
				if b.Type == whatsapp.ButtonCopyCode && i != 0 {
					return invalid("BUTTONS: the COPY_CODE of a limited-time offer is the first button.")
				}
			}
		}
	}
	if seen[whatsapp.ComponentFooter] || seen[componentCarousel] {
		return invalid("A limited-time offer has no FOOTER and no CAROUSEL.")
	}
	return nil
}

// checkCarousel is what a carousel asks: 2 to 10 cards of one make, each with a picture, words or buttons.
func checkCarousel(spec *templateSpec, seen map[string]bool) *graphError {
	if seen[whatsapp.ComponentHeader] || seen[whatsapp.ComponentFooter] || seen[whatsapp.ComponentButtons] {
		return invalid("A CAROUSEL stands beside a BODY only.")
	}
	at := slices.IndexFunc(spec.Components, func(c templateComponent) bool { return c.Type == componentCarousel })
	cards := spec.Components[at].Cards
	if len(cards) < 2 || len(cards) > 10 {
		return invalid("A CAROUSEL has 2 to 10 cards.")
	}
	shape := func(c templateCard) string {
		var b strings.Builder
		for _, x := range c.Components {
			b.WriteString(x.Type + " " + x.Format)
			for _, y := range x.Buttons {
				b.WriteString(" " + y.Type)
			}
			b.WriteByte(';')
		}
		return b.String()
	}
	for i, c := range cards {
		parts, refusal := checkComponents(spec, c.Components)
		switch {
		case refusal != nil:
			return refusal
		case !parts[whatsapp.ComponentHeader] || !parts[whatsapp.ComponentButtons]:
			return invalid("Card %d needs a HEADER and BUTTONS.", i)
		case parts[whatsapp.ComponentFooter] || parts[componentOffer] || parts[componentCarousel]:
			return invalid("Card %d has a part that cards do not have.", i)
		case shape(c) != shape(cards[0]):
			return invalid("All cards have the same components and buttons.")
		}
		for _, x := range c.Components {
			if x.Type == whatsapp.ComponentHeader && x.Format != "IMAGE" && x.Format != "VIDEO" {
				return refused(2388047, "The message header format is incorrect", "The header of a card is an IMAGE or a VIDEO.")
			}
			if x.Type == whatsapp.ComponentBody && utf8.RuneCountInString(x.Text) > 160 {
				return refused(2388040, "Character limit exceeded", "The body of a card has at most 160 characters.")
			}
			if x.Type == whatsapp.ComponentButtons && len(x.Buttons) > 2 {
				return invalid("A card has at most 2 buttons.")
			}
		}
	}
	return nil
}

func checkComponent(spec *templateSpec, c *templateComponent) *graphError {
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
	case componentOffer:
		if c.Offer == nil || utf8.RuneCountInString(c.Offer.Text) < 1 || utf8.RuneCountInString(c.Offer.Text) > 16 {
			return refused(2388040, "Character limit exceeded", "A limited-time offer has a text of 1 to 16 characters.")
		}
	case componentCarousel: // checkCarousel, which sees the whole
	default:
		return invalid("Param components: the simulator does not model %q.", c.Type)
	}
	return nil
}

func checkVariables(spec *templateSpec, component string, names []string, samples int, named []whatsapp.NamedExample) *graphError {
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
	for i := range buttons {
		b := &buttons[i]
		b.Type = strings.ToUpper(b.Type)
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
