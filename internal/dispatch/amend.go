package dispatch

import (
	"encoding/json"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// Types of inbound message that change one said before.
const (
	typeEdit   = "edit"
	typeRevoke = "revoke"
)

// amended applies what changes a message that was said before, whichever of the two came first: m is either. The customer is locked.
func amended(tx *store.Tx, in *whatsapp.Inbound, m *punchcard.Message) error {
	if in.Type != typeEdit && in.Type != typeRevoke {
		amendments, err := tx.Amendments(m)
		if err != nil || len(amendments) == 0 {
			return err
		}
		for i := range amendments {
			amend(m, &amendments[i])
		}
		return tx.SaveMessage(m)
	}
	was, err := tx.MessageByWamid(m.ReplyTo)
	if err != nil || was == nil || was.CustomerID != m.CustomerID || was.Direction != punchcard.Inbound {
		return err // it waits for what it changes
	}
	amend(was, m)
	return tx.SaveMessage(was)
}

// amend applies an edit or a revoke to what was said. What it said first is kept; a later edit counts, whichever came first.
func amend(was, by *punchcard.Message) {
	switch {
	case by.Kind == typeRevoke:
		if was.RevokedAt == nil {
			was.RevokedAt = by.SaidAt
		}
	case was.EditedAt == nil || !by.SaidAt.Before(*was.EditedAt):
		if was.FirstText == nil {
			first := was.Text
			was.FirstText = &first
		}
		was.Text, was.EditedAt = by.Text, by.SaidAt
	}
}

// attach keeps what came with a message: the ad that it came from, and what it orders.
func attach(m *punchcard.Message, in *whatsapp.Inbound) error {
	var err error
	if in.Referral != nil {
		if m.Referral, err = json.Marshal(referral{
			in.Referral.SourceURL, in.Referral.SourceID, in.Referral.SourceType, in.Referral.Headline, in.Referral.Body,
			in.Referral.MediaType, in.Referral.MediaURL, in.Referral.ClickID, in.Referral.Welcome,
		}); err != nil {
			return err
		}
	}
	if in.Order == nil {
		return nil
	}
	kept := order{Catalog: in.Order.CatalogID, Items: []orderItem{}}
	for _, i := range in.Order.Items {
		kept.Items = append(kept.Items, orderItem(i))
	}
	m.Items, err = json.Marshal(kept)
	return err
}

// referral is an ad or a post as it is kept.
type referral struct {
	SourceURL  string `json:"source_url,omitempty"`
	SourceID   string `json:"source_id,omitempty"`
	SourceType string `json:"source_type,omitempty"`
	Headline   string `json:"headline,omitempty"`
	Body       string `json:"body,omitempty"`
	MediaType  string `json:"media_type,omitempty"`
	MediaURL   string `json:"media_url,omitempty"`
	ClickID    string `json:"ctwa_clid,omitempty"`
	Welcome    string `json:"welcome,omitempty"`
}

// order is a cart as it is kept.
type order struct {
	Catalog string      `json:"catalog_id"`
	Items   []orderItem `json:"items"`
}

type orderItem struct {
	ProductID string `json:"product_id"`
	Quantity  int    `json:"quantity"`
	Price     string `json:"price"`
	Currency  string `json:"currency"`
}
