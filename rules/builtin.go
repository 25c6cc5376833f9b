package rules

import (
	"slices"
	"strings"

	"punchcard"
)

func fieldOf(name string, kind TypeKind) Field {
	return Field{Name: name, Type: FieldType{Kind: kind}}
}

func optional(f Field) Field {
	f.Optional = true
	return f
}

// BuiltinEvents are the events that Punchcard itself raises, beside keyword.<name> for each keyword of a program. A backend
// may not send them, and a program may not declare them. The map is not changed.
var BuiltinEvents = map[string]Schema{
	punchcard.EventConsentRequested: {fields: []Field{
		{Name: "topics", Type: FieldType{Kind: TypeList, Of: &FieldType{Kind: TypeString}}}, fieldOf("source", TypeString),
	}},
	punchcard.EventMilestoneReached: {fields: []Field{fieldOf("milestone", TypeString), fieldOf("nth", TypeInteger)}},
	punchcard.EventPointsMatured:    {fields: []Field{fieldOf("points", TypeInteger), fieldOf("balance", TypeInteger)}},
	punchcard.EventPointsExpiring: {fields: []Field{
		fieldOf("points", TypeInteger), fieldOf("expires_on", TypeDate), fieldOf("balance", TypeInteger),
	}},
	punchcard.EventPointsExpired:       {fields: []Field{fieldOf("points", TypeInteger), fieldOf("balance", TypeInteger)}},
	punchcard.EventRedemptionRequested: {fields: []Field{fieldOf("redemption_id", TypeString), fieldOf("reward", TypeString)}},
	punchcard.EventRedemptionCaptured: {fields: []Field{
		fieldOf("redemption_id", TypeString), fieldOf("reward", TypeString), optional(fieldOf("value", TypeMoney)),
	}},
	punchcard.EventRewardExpired: {fields: []Field{
		fieldOf("grant_id", TypeString), fieldOf("reward", TypeString), optional(fieldOf("redemption_id", TypeString)), optional(fieldOf("value", TypeMoney)),
	}},
	punchcard.EventScheduleDue: {fields: []Field{fieldOf("date", TypeDate)}},
	punchcard.EventAdClicked: {fields: []Field{
		fieldOf("source_id", TypeString), optional(fieldOf("source_type", TypeString)), optional(fieldOf("source_url", TypeString)),
		optional(fieldOf("headline", TypeString)), optional(fieldOf("body", TypeString)), optional(fieldOf("ctwa_clid", TypeString)),
	}},
	punchcard.EventCustomerMerged: {fields: []Field{fieldOf("merged", TypeString), fieldOf("into", TypeString)}},
	punchcard.EventTierChanged:    {fields: []Field{fieldOf("from", TypeString), fieldOf("to", TypeString)}},
}

var keywordSchema = Schema{fields: []Field{fieldOf("text", TypeString), optional(fieldOf("link", TypeString))}}

// systemPrefixes begin the names of events that are ours, now or later.
var systemPrefixes = []string{punchcard.EventKeywordPrefix, "message.", "run.", "points.", "schedule.", "system.", "ad."}

// reservedEvent tells whether a program may not declare an event of this name.
func reservedEvent(name string) bool {
	if _, ok := BuiltinEvents[name]; ok {
		return true
	}
	return slices.ContainsFunc(systemPrefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Schema is the schema of an event, whether the program's own or built in. It answers false for one that is neither.
func (p *Program) Schema(event string) (Schema, bool) {
	if p.ownReferrals(event) {
		return referralSchema, true
	}
	if s, ok := p.Events[event]; ok {
		return s, true
	}
	if s, ok := BuiltinEvents[event]; ok {
		return s, true
	}
	if name, ok := strings.CutPrefix(event, punchcard.EventKeywordPrefix); ok {
		for _, k := range p.Keywords {
			if k.Name == name {
				return keywordSchema, true
			}
		}
	}
	return Schema{}, false
}

// Builtin tells whether an event is one that only Punchcard raises: a backend may not send it.
func (p *Program) Builtin(event string) bool { return reservedEvent(event) || p.ownReferrals(event) }

// eventNames lists the events that a program knows, its own and the built-in ones.
func (p *Program) eventNames() []string {
	var names []string
	for name := range p.Events {
		names = append(names, name)
	}
	for name := range BuiltinEvents {
		names = append(names, name)
	}
	for _, k := range p.Keywords {
		names = append(names, punchcard.EventKeywordPrefix+k.Name)
	}
	if p.Referral != nil {
		names = append(names, punchcard.EventReferralCompleted, punchcard.EventReferralReversed)
	}
	slices.Sort(names)
	return names
}
