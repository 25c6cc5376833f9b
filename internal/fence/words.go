package fence

import "strings"

// words are what a customer reads where a rule says no, by the reason's code and language.
var words = map[string]map[string]string{
	"not_enough_points": {"en": "you do not have enough points yet", "da": "du har ikke point nok endnu"},
	"per_customer":      {"en": "you have had this reward already", "da": "du har allerede fået denne belønning"},
	"sold_out":          {"en": "it is all given away for now", "da": "den er udsolgt lige nu"},
	"budget_used":       {"en": "it is all given away for now", "da": "den er udsolgt lige nu"},
	"not_eligible":      {"en": "this reward is not for you at the moment", "da": "denne belønning er ikke til dig lige nu"},
	"not_yet":           {"en": "this reward is not offered yet", "da": "denne belønning tilbydes ikke endnu"},
	"over":              {"en": "this reward is offered no more", "da": "denne belønning tilbydes ikke længere"},
	"out_of_codes":      {"en": "we have run out of codes for now", "da": "vi er løbet tør for koder lige nu"},
	"no_code":           {"en": "we could not get a code just now; please try again later", "da": "vi kunne ikke få en kode lige nu; prøv igen senere"},
	"stopped":           {"en": "this reward is not offered at the moment", "da": "denne belønning tilbydes ikke lige nu"},
	"new_customer":      {"en": "it is for customers whom we have known a little longer", "da": "den er for kunder, vi har kendt lidt længere"},
	"velocity_customer": {"en": "that was a lot in a short time; please try again later", "da": "det var meget på kort tid; prøv igen senere"},
	"velocity_device":   {"en": "that was a lot in a short time; please try again later", "da": "det var meget på kort tid; prøv igen senere"},
	"velocity_program":  {"en": "many want it just now; please try again later", "da": "mange vil have den lige nu; prøv igen senere"},
	"already_captured":  {"en": "it has been used", "da": "den er brugt"},
	"released":          {"en": "it was given back", "da": "den er givet tilbage"},
	"expired":           {"en": "its time is over", "da": "tiden er udløbet"},
	"not_by_tap":        {"en": "it is used in another way", "da": "den bruges på en anden måde"},
	"unknown_code":      {"en": "there is no such reward", "da": "den belønning findes ikke"},
	"cancelled":         {"en": "it was cancelled", "da": "den blev annulleret"},
	"unknown_reward":    {"en": "there is no such reward any more", "da": "den belønning findes ikke længere"},
	"no_journey":        {"en": "it is not given out at the moment", "da": "den deles ikke ud lige nu"},
	"not_for_points":    {"en": "this reward cannot be had for points", "da": "denne belønning kan ikke fås for point"},
}

// Words says a reason's code in the customer's language, else in the fallback, else in English. A code without words is
// given with its underscores as spaces.
func Words(code, language, fallback string) string {
	for _, l := range []string{language, base(language), fallback, base(fallback), "en"} {
		if w, ok := words[code][l]; ok {
			return w
		}
	}
	return strings.ReplaceAll(code, "_", " ")
}

// base is the language without its region: da for da-DK.
func base(language string) string {
	b, _, _ := strings.Cut(strings.ReplaceAll(language, "_", "-"), "-")
	return b
}
