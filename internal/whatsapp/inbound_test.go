package whatsapp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// texts is all text in a message that goes to the database.
func texts(in Inbound) string {
	all := []string{
		in.ID, in.From, in.UserID, in.ParentUserID, in.ProfileName, in.Username, in.GroupID, in.Type, in.Interactive, in.Text, in.Payload,
		in.ReplyTo, in.Concerns, in.Caption, in.MediaID, in.MediaType, in.MediaHash, in.Filename,
	}
	if r := in.Referral; r != nil {
		all = append(all, r.SourceURL, r.SourceID, r.SourceType, r.Headline, r.Body, r.MediaType, r.MediaURL, r.ClickID, r.Welcome)
	}
	if p := in.Product; p != nil {
		all = append(all, p.CatalogID, p.ID)
	}
	if p := in.Location; p != nil {
		all = append(all, p.Name, p.Address, p.URL)
	}
	for _, c := range in.Contacts {
		all = append(all, c.Name, c.Company, c.Origin)
		for _, p := range c.Phones {
			all = append(all, p.Text, p.Phone, p.UserID)
		}
	}
	if o := in.Order; o != nil {
		all = append(all, o.CatalogID)
		for _, item := range o.Items {
			all = append(all, item.ProductID, item.Price, item.Currency)
		}
	}
	if s := in.System; s != nil {
		all = append(all, s.Type, s.Phone, s.UserID, s.ParentUserID, s.PreviousUserID)
	}
	for _, p := range in.Errors {
		all = append(all, p.Title, p.Details)
	}
	return strings.Join(all, "\n")
}

func TestParseContents(t *testing.T) {
	t.Parallel()
	at := time.Unix(1790000000, 0).UTC()
	mia := func(in Inbound) Inbound {
		in.From, in.UserID, in.At = "+4520123456", "DK.90210", at
		return in
	}
	want := []Inbound{
		mia(Inbound{ID: "wamid.video", Type: "video", Caption: "look", MediaID: "80", MediaType: "video/mp4", MediaHash: "h", Forwarded: true}),
		mia(Inbound{ID: "wamid.voice", Type: "audio", MediaID: "81", MediaType: "audio/ogg; codecs=opus", Voice: true, Forwarded: true, ForwardedOften: true}),
		mia(Inbound{ID: "wamid.sticker", Type: "sticker", MediaID: "82", MediaType: "image/webp", Animated: true}),
		mia(Inbound{ID: "wamid.place", Type: "location", Location: &Place{55.67, 12.57, "Shop\uFFFD", "Street 1", "https://x.example/"}}),
		mia(Inbound{ID: "wamid.nowhere", Type: "location"}),
		mia(Inbound{ID: "wamid.oddplace", Type: "location"}),
		mia(Inbound{ID: "wamid.card", Type: "contacts", Contacts: []SharedContact{
			{Name: "Bo Berg", Company: "Berg ApS", Phones: []SharedPhone{{"+45 88 88 88 88", "+4588888888", "DK.8"}, {"12", "", ""}}},
			{Origin: "contact_request", Phones: []SharedPhone{{"+45 20 12 34 56", "+4520123456", ""}}},
		}}),
		mia(Inbound{ID: "wamid.order", Type: "order", Order: &Order{CatalogID: "194", Items: []OrderItem{
			{"bean-1", 2, "30.5", "DKK"}, {"cup", 0, "25", ""},
		}}}),
		mia(Inbound{ID: "wamid.call", Type: "interactive", Interactive: "call_permission_reply", Payload: "accept"}),
		mia(Inbound{ID: "wamid.product", Type: "text", Text: "Is this still here?", ReplyTo: "wamid.P", Product: &Product{"194", "bean-1"}}),
		mia(Inbound{ID: "wamid.ad", Type: "text", Text: "Hello!", Referral: &Referral{
			SourceURL: "https://fb.example/1", SourceID: "120226305854810726", SourceType: "ad", Headline: "Chat", Body: "Beans", MediaType: "image",
			MediaURL: "https://x.example/i", ClickID: "Aff-n8", Welcome: "Hi!",
		}}),
		mia(Inbound{ID: "wamid.oddad", Type: "text", Text: "Hello again"}),
		mia(Inbound{ID: "wamid.edit", Type: "edit", Concerns: "wamid.O", Text: "stop"}),
		mia(Inbound{ID: "wamid.editimage", Type: "edit", Concerns: "wamid.O", MediaID: "83", Caption: "new"}),
		mia(Inbound{ID: "wamid.editedit", Type: "edit", Concerns: "wamid.O"}),
		mia(Inbound{ID: "wamid.untyped", Type: "location", Location: &Place{Latitude: 55.5, Longitude: 12.5}}),
		mia(Inbound{ID: "wamid.plain", Type: "unsupported", Errors: []Problem{{131051, "Unsupported", "not supported"}}}),
		mia(Inbound{ID: "wamid.revoke", Type: "revoke", Concerns: "wamid.O"}),
		{
			ID: "wamid.newid", Type: "system", At: at, UserID: "DK.6", Text: "changed",
			System: &SystemChange{Type: "user_changed_user_id", UserID: "DK.7", PreviousUserID: "DK.6"},
		},
		{
			ID: "wamid.oldshape", Type: "system", At: at, From: "+4520123456", Text: "changed",
			System: &SystemChange{Type: "user_changed_number", Phone: "+4577777777"},
		},
	}
	updates := parse(t, "contents")
	require.Len(t, updates, len(want))
	for i, u := range updates {
		require.NotNil(t, u.Inbound, "%d", i)
		u.Inbound.Raw = nil
		require.Equal(t, want[i], *u.Inbound)
	}
}
