package calls

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"punchcard"
	"punchcard/rules"
)

// codeWish is the body of a request for a code. It is the same each time that it is asked for the same grant.
type codeWish struct {
	Type      string       `json:"type"`
	Timestamp time.Time    `json:"timestamp"`
	Customer  string       `json:"customer"`
	Data      codeWishData `json:"data"`
}

type codeWishData struct {
	GrantID      string     `json:"grant_id"`
	Reward       string     `json:"reward"`
	Value        float64    `json:"value"`
	Currency     string     `json:"currency"`
	RedemptionID string     `json:"redemption_id,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
}

// Code asks for the code of a grant that awaits one, under the grant's id: it is the same however often, and by whomever, it is asked for.
// It answers the code, or why there is none. p is the program that the grant is from, and reward its reward there.
func (c Caller) Code(ctx context.Context, p *rules.Program, reward *rules.Reward, g *punchcard.Grant) (*punchcard.IssuedCode, string, error) {
	if reward == nil || reward.Call == nil {
		return nil, "", fmt.Errorf("the program of grant %s has nobody to ask for a code of %s", g.ID, g.Reward)
	}
	body, err := json.Marshal(codeWish{reward.Call.Name, g.CreatedAt.UTC(), g.CustomerID, codeWishData{
		GrantID: g.ID, Reward: g.Reward, Value: g.Value, Currency: p.Currency, RedemptionID: g.RedemptionID, ExpiresAt: g.ExpiresAt,
	}})
	if err != nil {
		return nil, "", fmt.Errorf("ask for the code of grant %s: %w", g.ID, err)
	}
	answers, failed := c.Ask(ctx, reward.Call, g.ID, body)
	if failed != "" {
		return nil, failed, nil
	}
	code, _ := answers[rules.AnswerCode].(string)
	issued := punchcard.IssuedCode{Code: code}
	if at, ok := reward.Call.Answers.Decode(answers)[rules.AnswerExpires].(time.Time); ok {
		issued.ExpiresAt = &at
	}
	if !punchcard.IsIssuedCode(code) {
		return nil, AnswerInvalid, nil
	}
	return &issued, "", nil
}
