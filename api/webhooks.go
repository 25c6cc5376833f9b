package api

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// maxWebhook bounds a webhook's body, in bytes: Meta's own bound is 3 MB.
const maxWebhook = 4 << 20

var aboutHandshake = options{
	media: []string{"text/plain"},
	about: "Meta asks whether this address wants its webhooks, and gets its challenge back when it says the right word.",
}

var aboutWebhook = options{
	maxBody: maxWebhook,
	about: "Only what Meta has signed is taken: the signature is checked over the bytes as they came. They are stored, then answered, and " +
		"worked on afterwards.",
	body: func(huma.Registry) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "As Meta's documentation has it"}
	},
}

type handshakeInput struct {
	Mode      string `query:"hub.mode" doc:"subscribe"`
	Token     string `query:"hub.verify_token" doc:"The token that WhatsApp was told"`
	Challenge string `query:"hub.challenge" doc:"What is answered"`
}

// text is an answer that is no JSON.
type text struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Body        []byte
}

func (s *server) handshake(_ context.Context, in *handshakeInput) (*text, error) {
	challenge, ok := whatsapp.Handshake(url.Values{
		"hub.mode": {in.Mode}, "hub.verify_token": {in.Token}, "hub.challenge": {in.Challenge},
	}, s.VerifyToken)
	if !ok {
		return nil, punchcard.Errorf(punchcard.CodeForbidden, "that is not the handshake that was agreed on")
	}
	return &text{ContentType: "text/plain; charset=utf-8", Body: []byte(challenge)}, nil
}

type webhookInput struct {
	Signature string `header:"X-Hub-Signature-256" doc:"sha256= and the HMAC of the body"`
	RawBody   []byte
}

type received struct {
	Status string `json:"status" enum:"received"`
}

func (s *server) webhook(ctx context.Context, in *webhookInput) (*output[received], error) {
	if !whatsapp.Verify(s.AppSecrets, in.RawBody, in.Signature) {
		s.Log.WarnContext(ctx, "a webhook was refused: its signature is missing or wrong", "signed", in.Signature != "", "request_id", requestID(ctx))
		return nil, punchcard.Errorf(punchcard.CodeUnauthorized, "the signature is missing or wrong").Because("bad_signature")
	}
	// The body is huma's buffer, which the next request gets: the inbox keeps a copy.
	if err := s.Dispatch.Receive(ctx, append([]byte(nil), in.RawBody...)); err != nil {
		return nil, err
	}
	return answer(received{Status: "received"}), nil
}

type parkedWebhook struct {
	ID         int64     `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error"`
}

func (s *server) parkedWebhooks(ctx context.Context, in *struct{ Paging }) (*output[list[parkedWebhook]], error) {
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).ParkedInbox(after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	id := func(i store.InboxItem) string { return strconv.FormatInt(i.ID, 10) }
	return answer(paged(rows, in.Limit, id, func(i store.InboxItem) parkedWebhook {
		return parkedWebhook{i.ID, i.ReceivedAt, i.Attempts, i.Error}
	})), nil
}

type webhookPath struct {
	ID int64 `path:"id" minimum:"1" doc:"As the list of parked webhooks has it"`
}

type webhookStatus struct {
	ID     int64  `json:"id"`
	Status string `json:"status" enum:"pending"`
}

func (s *server) retryWebhook(ctx context.Context, in *webhookPath) (*output[webhookStatus], error) {
	if err := s.Dispatch.UnparkWebhook(ctx, in.ID); err != nil {
		return nil, err
	}
	return answer(webhookStatus{in.ID, "pending"}), nil
}

type unknownWebhook struct {
	Field   string    `json:"field" doc:"The webhook's field; messages.PART for a part of one"`
	Times   int64     `json:"times"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

type unknownWebhooks struct {
	Items []unknownWebhook `json:"items" nullable:"false"`
}

func (s *server) unknownWebhooks(ctx context.Context, _ *struct{}) (*output[unknownWebhooks], error) {
	rows, err := s.Store.View(ctx).UnknownWebhooks()
	if err != nil {
		return nil, err
	}
	items := make([]unknownWebhook, len(rows))
	for i, r := range rows {
		items[i] = unknownWebhook(r)
	}
	return answer(unknownWebhooks{items}), nil
}
