package simulator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"punchcard/internal/whatsapp"
)

// Webhooks are retried after firstWait, then twice as long each time up to longestWait. Real time.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = 2 * time.Second
)

// unsettled is how often Run looks whether the business's time made something due. Real time.
const unsettled = 50 * time.Millisecond

// atOnce is how many webhooks are on their way together, at most.
const atOnce = 16

// queue holds the webhooks of one person, in order.
type queue struct {
	phone   string
	pending []hook
	busy    bool // a goroutine delivers from it, or it is in ready
}

// enqueue adds a webhook to its person's queue. The caller holds mu.
func (s *Simulator) enqueue(h hook) {
	q := s.queues[h.Phone]
	if q == nil {
		q = &queue{phone: h.Phone}
		s.queues[h.Phone] = q
	}
	q.pending = append(q.pending, h)
	if !q.busy {
		q.busy = true
		s.ready = append(s.ready, q)
	}
}

// dequeue drops a webhook that was taken: the first of its queue, as they go in order. An inbound message that it told
// of is delivered. The caller holds mu.
func (s *Simulator) dequeue(t takenFact) {
	q := s.queues[t.Phone]
	if q == nil || len(q.pending) < max(1, t.Count) || q.pending[0].Number != t.Number {
		return
	}
	for _, h := range q.pending[:max(1, t.Count)] {
		if m := s.messages[h.Message]; m != nil && rank(delivered) > rank(m.Status) {
			m.Status = delivered
			s.touch(m)
		}
		if taken := s.early[h.Number]; taken != nil {
			close(taken)
			delete(s.early, h.Number)
		}
	}
	q.pending = q.pending[max(1, t.Count):]
}

// Run delivers webhooks until ctx or the simulator ends; then it answers nil. Nothing is lost while it does not run.
func (s *Simulator) Run(ctx context.Context) error {
	ctx, cancel := s.background(ctx)
	defer cancel()
	defer s.ending.Do(func() { close(s.over) })
	var wg sync.WaitGroup
	defer wg.Wait()
	if s.opt.VerifyToken != "" {
		wg.Go(func() { s.handshake(ctx) })
	}
	slots := make(chan struct{}, atOnce)
	tick := time.NewTicker(unsettled)
	defer tick.Stop()
	for {
		s.mu.Lock()
		s.settle()
		address := s.webhookURL
		var ready []*queue
		if address != "" {
			ready, s.ready = s.ready, nil
		}
		s.mu.Unlock()
		for _, q := range ready {
			wg.Go(func() { s.drain(ctx, q, slots) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// drain delivers what is in a queue, one after the other.
func (s *Simulator) drain(ctx context.Context, q *queue, slots chan struct{}) {
	wait := firstWait
	for {
		s.mu.Lock()
		if len(q.pending) == 0 {
			q.busy = false
			delete(s.queues, q.phone)
			s.mu.Unlock()
			return
		}
		h, address := q.pending[0], s.webhookURL
		if early := time.Until(h.NotBefore); early > 0 {
			s.mu.Unlock()
			if !s.rest(ctx, q, early) {
				return
			}
			continue
		}
		together := q.pending[:max(1, min(h.Batch, len(q.pending)))]
		body := merge(together)
		s.mu.Unlock()

		err := s.post(ctx, address, body, slots)
		if err == nil {
			taken := takenFact{Phone: h.Phone, Number: h.Number}
			if h.Batch > 0 {
				taken.Count = len(together)
			}
			s.mu.Lock()
			err = s.commit(fact{Taken: &taken})
			s.mu.Unlock()
			wait = firstWait
		}
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			level := slog.LevelDebug // a receiver that restarts is nothing to tell
			if wait < longestWait && 2*wait >= longestWait {
				level = slog.LevelWarn // once, after some seconds of it
			}
			s.log.Log(ctx, level, "simulator: a webhook is not taken; it is kept and tried again", "error", err)
		}
		if !s.rest(ctx, q, wait) {
			return
		}
		wait = min(2*wait, longestWait)
	}
}

// rest waits before a queue goes on. When ctx ends first it leaves the queue to the next Run, and answers false.
func (s *Simulator) rest(ctx context.Context, q *queue, wait time.Duration) bool {
	select {
	case <-ctx.Done():
		s.mu.Lock()
		s.ready = append(s.ready, q)
		s.mu.Unlock()
		return false
	case <-time.After(wait):
		return true
	}
}

// post delivers one webhook. Only a 200 is a yes, as with Meta.
func (s *Simulator) post(ctx context.Context, address, body string, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	req.Header.Set("X-Hub-Signature-256", whatsapp.Sign(s.opt.AppSecret, []byte(body)))
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the receiver answered %d", res.StatusCode)
	}
	return nil
}

// handshake asks the receiver once whether it wants webhooks, as Meta does when they are subscribed. Unlike Meta, no is
// only logged: the receiver may still be starting.
func (s *Simulator) handshake(ctx context.Context) {
	wait := firstWait
	for {
		s.mu.Lock()
		address := s.webhookURL
		s.mu.Unlock()
		if address != "" {
			err := s.askReceiver(ctx, address)
			if err == nil || ctx.Err() != nil {
				return
			}
			if wait >= longestWait {
				s.log.Warn("simulator: the webhook address does not answer the handshake; is the verify token the same?", "error", err)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if address != "" {
			wait *= 2
		}
	}
}

func (s *Simulator) askReceiver(ctx context.Context, address string) error {
	const challenge = "1158201444"
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	q := u.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", s.opt.VerifyToken)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1024))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || string(answer) != challenge {
		return fmt.Errorf("the receiver answered %d", res.StatusCode)
	}
	return nil
}

type object = map[string]any

// hook numbers a webhook about a change. n counts the webhooks that the same fact has already. The caller holds mu.
func (s *Simulator) hook(n int, phone, messageID, field string, value any) hook {
	body := encode(object{
		"object": "whatsapp_business_account",
		"entry":  []object{{"id": s.opt.AccountID, "changes": []object{{"field": field, "value": value}}}},
	})
	return hook{Number: s.hooks + int64(n) + 1, Phone: s.line(phone), Message: messageID, Body: string(escape(body)), person: phone}
}

// accountHook numbers a webhook of the account's own. Only these say when they are about. The caller holds mu.
func (s *Simulator) accountHook(n int, field string, value object) hook {
	body := encode(object{
		"object": "whatsapp_business_account",
		"entry":  []object{{"id": s.opt.AccountID, "time": s.now().Unix(), "changes": []object{{"field": field, "value": value}}}},
	})
	return hook{Number: s.hooks + int64(n) + 1, Body: string(escape(body))}
}

// messagesValue is the value of a messages change about a person. named adds who they are, which Meta leaves out of failures.
func (s *Simulator) messagesValue(who *person, named bool, part string, content object) object {
	value := object{
		"messaging_product": "whatsapp",
		"metadata":          object{"display_phone_number": digits(s.opt.BusinessPhone), "phone_number_id": s.opt.PhoneNumberID},
		part:                []object{content},
	}
	if named {
		value["contacts"] = []object{{"profile": object{"name": who.Name}, "wa_id": digits(who.Phone), "user_id": who.UserID}}
	}
	return value
}

// statusHook tells how far an outbound message got. The caller holds mu.
func (s *Simulator) statusHook(n int, m *message, status string) hook {
	who := s.lookUp(m.Phone)
	now := s.now()
	content := object{
		"id": m.ID, "status": status, "timestamp": unix(now), "recipient_id": digits(m.Phone),
	}
	if m.CallbackData != "" {
		content["biz_opaque_callback_data"] = m.CallbackData
	}
	if status == failed {
		content["errors"] = []object{{
			"code": m.Problem.Code, "title": m.Problem.Title, "message": m.Problem.Title,
			"error_data": object{"details": m.Problem.Details},
			"href":       "/documentation/business-messaging/whatsapp/support/error-codes",
		}}
		h := s.hook(n, m.Phone, "", "messages", s.messagesValue(who, false, "statuses", content))
		h.about = failed
		return h
	}
	content["recipient_user_id"] = who.UserID
	if m.Price != nil { // journals of before have none
		content["pricing"] = m.Price.object()
	}
	h := s.hook(n, m.Phone, "", "messages", s.messagesValue(who, true, "statuses", content))
	h.about = status
	return h
}

// inboundHook tells of what a person wrote or pressed. The caller holds mu.
func (s *Simulator) inboundHook(n int, who *person, m *message) hook {
	content := object{
		"id": m.ID, "from": digits(who.Phone), "from_user_id": who.UserID, "timestamp": unix(m.At), "type": m.Type,
	}
	if m.ReplyTo != "" && m.Type != "reaction" { // which names it inside
		from := digits(s.opt.BusinessPhone)
		if quoted := s.messages[m.ReplyTo]; quoted != nil && quoted.Direction == in {
			from = digits(who.Phone)
		}
		content["context"] = object{"from": from, "id": m.ReplyTo}
	}
	switch m.Type {
	case "text":
		content["text"] = object{"body": m.Text}
	case "button":
		content["button"] = object{"text": m.Text, "payload": m.Payload}
	case "interactive":
		answer, kind := object{"id": m.Payload, "title": m.Text}, "button_reply"
		if quoted := s.messages[m.ReplyTo]; quoted != nil && quoted.ListButton != "" {
			kind = "list_reply"
			for _, row := range quoted.Buttons {
				if row.ID == m.Payload && row.Description != "" {
					answer["description"] = row.Description
				}
			}
		}
		content["interactive"] = object{"type": kind, kind: answer}
	default:
		content[m.Type] = s.personContent(m)
	}
	if m.Referral != nil {
		content["referral"] = m.Referral.content()
	}
	h := s.hook(n, who.Phone, m.ID, "messages", s.messagesValue(who, true, "messages", content))
	h.about = "message"
	return h
}

// escape writes every character outside ASCII as \u and every slash as \/, as Meta does. A receiver that verifies
// anything but the raw bytes finds out here.
func escape(body []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(body) {
		switch {
		case r == '/':
			b.WriteString(`\/`)
		case r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

func digits(phone string) string { return strings.TrimPrefix(phone, "+") }

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
