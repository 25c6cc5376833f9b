package rules

import "strings"

// What begins the payload of a button, or of a row, that is more than a keyword. A keyword has no colon.
const (
	PayloadRedeem  = "redeem:"  // and the reward's name: a tap asks for it
	PayloadCapture = "capture:" // and the grant's id: a tap uses it. In a template, and before it is sent: the parameter whose grant it is
)

// CaptureParam is the parameter of a template whose grant a tap of the button uses; "" for a button that uses none.
func (b Button) CaptureParam() string {
	param, ok := strings.CutPrefix(b.Payload, PayloadCapture)
	if !ok || b.Kind != ButtonQuickReply {
		return ""
	}
	return param
}

// captures are the parameters of a template whose grants taps of its buttons use.
func (t *Template) captures() []string {
	var params []string
	add := func(buttons []templateButton) {
		for _, b := range buttons {
			if param, ok := strings.CutPrefix(b.keyword, PayloadCapture); ok {
				params = append(params, param)
			}
		}
	}
	add(t.buttons)
	for _, c := range t.cards {
		add(c.buttons)
	}
	return params
}
