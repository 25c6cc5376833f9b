package dispatch

import (
	"context"

	"punchcard"
	"punchcard/internal/fence"
)

// Unsubscribing is what the page to unsubscribe says, in the customer's language.
type Unsubscribing struct {
	Language string
	Business string
	Question string
	Button   string
	Done     string
}

// The page to unsubscribe, in words.
var (
	unsubscribeQuestion = map[string]string{
		"en": "Do you want no more messages from {business} on WhatsApp?",
		"da": "Vil du ikke have flere beskeder fra {business} på WhatsApp?",
	}
	unsubscribeButton = map[string]string{"en": "Stop all messages", "da": "Stop alle beskeder"}
	unsubscribeDone   = map[string]string{
		"en": "You will get no more messages from {business}. Write JOIN to us on WhatsApp if you change your mind.",
		"da": "Du får ikke flere beskeder fra {business}. Skriv JOIN til os på WhatsApp, hvis du fortryder.",
	}
)

// UnsubscribePage is the page of an unsubscribe link's token. The error is CodeNotFound for a token that is none of ours.
func (d *Dispatcher) UnsubscribePage(ctx context.Context, token string) (*Unsubscribing, error) {
	c, err := d.unsubscriber(ctx, token)
	if err != nil {
		return nil, err
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	say := func(words map[string]string) string {
		return businessIn(inLanguage(words, c.Language, policy.Language), policy.Business)
	}
	return &Unsubscribing{
		Language: inLanguage(map[string]string{"en": "en", "da": "da"}, c.Language, policy.Language), Business: policy.Business,
		Question: say(unsubscribeQuestion), Button: say(unsubscribeButton), Done: say(unsubscribeDone),
	}, nil
}

// Unsubscribe stops everything for the customer of an unsubscribe link. To say it twice changes nothing more. The error is
// CodeNotFound for a token that is none of ours.
func (d *Dispatcher) Unsubscribe(ctx context.Context, token string) (*Unsubscribing, error) {
	page, err := d.UnsubscribePage(ctx, token)
	if err != nil {
		return nil, err
	}
	c, err := d.unsubscriber(ctx, token)
	if err != nil {
		return nil, err
	}
	_, _, err = d.Revoke(ctx, Revocation{Customer: c.ID, Source: sourceUnsubscribe, Channel: punchcard.ChannelWeb, Wording: page.Question + "\n\n" + page.Button})
	return page, err
}

func (d *Dispatcher) unsubscriber(ctx context.Context, token string) (*punchcard.Customer, error) {
	view := d.store.View(ctx)
	id, ok, err := fence.UnsubscribeCustomer(view, token)
	if err != nil {
		return nil, err
	}
	var c *punchcard.Customer
	if ok {
		if c, err = view.Customer(id); err != nil {
			return nil, err
		}
	}
	if c == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "that link is not whole: copy all of it, or write STOP to us on WhatsApp").Because("unknown_link")
	}
	return c, nil
}
