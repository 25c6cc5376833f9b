package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// maxBlocks is how many people one request may name, from Meta's page on blocking users.
const maxBlocks = 1000

// Blocked is what came of blocking or unblocking people.
type Blocked struct {
	Done   []string // as they were named in the call
	Failed []NotBlocked
}

// NotBlocked is somebody whom Meta did not block or unblock, and why. 131047 means that they did not write in the last 24
// hours: only who did can be blocked.
type NotBlocked struct {
	User     string
	Problems []Problem
}

// Block keeps people from writing to the business, and the business from writing to them: at most 1,000 a call and 64,000
// in all, each a phone number (E.164 with "+") or a user id. When Meta blocks some and refuses others that is no error:
// Failed has them. The error is an *Error; after one that is Ambiguous, calling again does no harm.
func (c *Client) Block(ctx context.Context, users ...string) (Blocked, error) {
	return c.block(ctx, http.MethodPost, users)
}

// Unblock is the end of Block.
func (c *Client) Unblock(ctx context.Context, users ...string) (Blocked, error) {
	return c.block(ctx, http.MethodDelete, users)
}

// ListBlocked is everyone who is blocked: phone numbers (E.164 with "+"), and user ids of those whose number Meta does not
// tell. The error is an *Error.
func (c *Client) ListBlocked(ctx context.Context) ([]string, error) {
	people, err := pages[struct {
		WaID   loose `json:"wa_id"`
		UserID loose `json:"user_id"`
	}](ctx, c, c.cfg.PhoneNumberID+"/block_users", url.Values{"limit": {strconv.Itoa(maxBlocks)}})
	var all []string
	for _, p := range people {
		if name := firstOf(names(p.WaID, p.UserID)); name != "" {
			all = append(all, name)
		}
	}
	return all, err
}

func (c *Client) block(ctx context.Context, method string, users []string) (Blocked, error) {
	if len(users) == 0 || len(users) > maxBlocks {
		return Blocked{}, refuse("a call blocks or unblocks 1 to 1,000 people")
	}
	list := make([]object, 0, len(users))
	for _, user := range users {
		list = append(list, object{"user": user})
	}
	var answer blockAnswer
	err := c.call(ctx, method, c.cfg.PhoneNumberID+"/block_users", nil, object{"messaging_product": "whatsapp", "block_users": list}, &answer)
	out := answer.result()
	if e, ok := errors.AsType[*Error](err); ok && e.Code == partialBlock && len(out.Failed) > 0 {
		return out, nil
	}
	return out, err
}

// partialBlock is the code of a refusal that says of each person what came of it.
const partialBlock = 139100

type blockAnswer struct {
	Users struct {
		Added   []blockedUser `json:"added_users"`
		Removed []blockedUser `json:"removed_users"`
		Failed  []blockedUser `json:"failed_users"`
	} `json:"block_users"`
}

type blockedUser struct {
	Input  loose           `json:"input"`
	Errors json.RawMessage `json:"errors"`
}

func (a *blockAnswer) takeRefusal(raw []byte) { _ = json.Unmarshal(raw, a) }

func (a *blockAnswer) result() Blocked {
	var out Blocked
	for _, u := range append(a.Users.Added, a.Users.Removed...) {
		out.Done = append(out.Done, string(u.Input))
	}
	for _, u := range a.Users.Failed {
		out.Failed = append(out.Failed, NotBlocked{User: string(u.Input), Problems: readProblems(u.Errors)})
	}
	return out
}
