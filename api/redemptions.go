package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

var aboutRedemption = options{
	status: http.StatusAccepted, idempotent: true,
	about:   "Stores the wish; whether the points reach is decided by the program's journey. Look at the redemption to see what became of it.",
	example: `{"customer": "external:c-17", "reward": "free-coffee"}`,
}

var aboutCancel = options{
	idempotent: true,
	about: "The run that serves it ends as cancelled, the points that were held are the customer's again, and its code is void. 409: it is over already; " +
		"a use is taken back by /v1/captures/{id}/reverse.",
}

// maxCodesBody bounds what one request may bring, in bytes.
const maxCodesBody = 1 << 20

var aboutCodes = options{
	maxBody: maxCodesBody,
	about:   "For a reward whose codes are a pool. A code that is there already is a duplicate; one that is refused refuses them all.",
	example: `{"codes": ["COFFEE-7Q2K", "COFFEE-9F4M"]}`,
}

type redemptionInput struct {
	Body struct {
		Customer customerRef `json:"customer"`
		Reward   string      `json:"reward" minLength:"1" maxLength:"200" doc:"Its name in the catalog"`
	}
}

type requestedRedemption struct {
	RedemptionID string                     `json:"redemption_id"`
	Status       punchcard.RedemptionStatus `json:"status" enum:"requested"`
}

func (s *server) requestRedemption(ctx context.Context, in *redemptionInput) (*output[requestedRedemption], error) {
	c, err := s.find(ctx, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	r, err := s.Dispatch.RequestRedemption(ctx, c.ID, in.Body.Reward, requestKey(ctx))
	if err != nil {
		return nil, err
	}
	return answer(requestedRedemption{RedemptionID: r.ID, Status: punchcard.RedemptionRequested}), nil
}

// RedemptionView is a redemption, and what is held for it.
type RedemptionView struct {
	ID         string                     `json:"id"`
	CustomerID string                     `json:"customer_id"`
	Reward     string                     `json:"reward"`
	Status     punchcard.RedemptionStatus `json:"status" enum:"requested,held,refused,captured,released"`
	Reason     string                     `json:"reason" doc:"Why it was refused or released"`
	RunID      string                     `json:"run_id"`
	GrantID    string                     `json:"grant_id"`
	Code       string                     `json:"code" doc:"Its last characters: a code is worth money"`
	Cost       int64                      `json:"cost" doc:"Points that are or were held for it"`
	Value      float64                    `json:"value" doc:"In the program's currency"`
	Left       float64                    `json:"left" doc:"What of the value is not used"`
	ExpiresAt  *time.Time                 `json:"expires_at"`
	CreatedAt  time.Time                  `json:"created_at"`
	EndedAt    *time.Time                 `json:"ended_at"`
}

func (s *server) redemption(ctx context.Context, in *redemptionPath) (*output[RedemptionView], error) {
	view := s.Store.View(ctx)
	r, err := view.Redemption(in.ID)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no redemption with that id")
	}
	v, err := ViewRedemption(view, r)
	if err != nil {
		return nil, err
	}
	return answer(v), nil
}

type redemptionPath struct {
	ID string `path:"id" maxLength:"100" doc:"Ours: rdm_…"`
}

// ViewRedemption is a redemption as the API shows it.
func ViewRedemption(view *store.Tx, r *punchcard.Redemption) (RedemptionView, error) {
	v := RedemptionView{
		ID: r.ID, CustomerID: r.CustomerID, Reward: r.Reward, Status: r.Status, Reason: r.Reason, RunID: r.RunID, GrantID: r.GrantID,
		CreatedAt: r.CreatedAt, EndedAt: r.EndedAt,
	}
	if r.GrantID == "" {
		return v, nil
	}
	g, err := view.Grant(r.GrantID)
	if err == nil && g != nil {
		v.Code, v.Cost, v.Value, v.Left, v.ExpiresAt = g.Code, g.Cost, g.Value, g.Left().Float(), g.ExpiresAt
	}
	return v, err
}

type redemptionsInput struct {
	Paging
	Status   string `query:"status" enum:"requested,held,refused,captured,released" doc:"Only those that stand so"`
	Customer string `query:"customer" maxLength:"300" doc:"Only this customer's, named as in a path"`
}

func (s *server) redemptions(ctx context.Context, in *redemptionsInput) (*output[list[RedemptionView]], error) {
	customer, err := s.only(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	after, err := in.afterID(punchcard.PrefixRedemption)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	rows, err := view.Redemptions(punchcard.RedemptionStatus(in.Status), customer, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	var failed error
	body := paged(rows, in.Limit, func(r punchcard.Redemption) string { return r.ID }, func(r punchcard.Redemption) RedemptionView {
		v, err := ViewRedemption(view, &r)
		failed = errors.Join(failed, err)
		return v
	})
	if failed != nil {
		return nil, failed
	}
	return answer(body), nil
}

// only is the id of the customer that a list is narrowed to, "" for all.
func (s *server) only(ctx context.Context, ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	// A plus that is not escaped comes out of a query as a space.
	if bare := strings.TrimPrefix(ref, "phone:"); strings.HasPrefix(bare, " ") {
		ref = "+" + bare[1:]
	}
	c, err := s.resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

func (s *server) cancelRedemption(ctx context.Context, in *redemptionPath) (*output[RedemptionView], error) {
	r, err := s.Dispatch.CancelRedemption(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	v, err := ViewRedemption(s.Store.View(ctx), r)
	if err != nil {
		return nil, err
	}
	return answer(v), nil
}

type codesInput struct {
	Reward string `path:"reward" maxLength:"200" doc:"Its name in the catalog"`
	Body   struct {
		Codes []string `json:"codes" minItems:"1" maxItems:"10000" nullable:"false" doc:"4 to 15 letters and digits; case, spaces and hyphens do not matter"`
	}
}

type codesAdded struct {
	Added      int64 `json:"added"`
	Duplicates int64 `json:"duplicates" doc:"Those that were there already, or came twice"`
	Free       int64 `json:"free" doc:"How many codes of the pool are free now"`
}

// codesPool is what a reward says whose codes come from a pool.
const codesPool = "pool"

var errNoPool = punchcard.Errorf(punchcard.CodeInvalid, "the reward's codes are not a pool; write codes: pool for it in rewards.yaml").Because("no_pool")

func (s *server) addCodes(ctx context.Context, in *codesInput) (*output[codesAdded], error) {
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	reward := policy.Rewards[in.Reward]
	if reward == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "the program has no such reward").Because("unknown_reward")
	}
	if reward.Codes != codesPool {
		return nil, errNoPool
	}
	seen := make(map[string]bool, len(in.Body.Codes))
	codes := make([]string, 0, len(in.Body.Codes))
	for i, c := range in.Body.Codes {
		code := punchcard.NormalizeCode(c)
		if !punchcard.IsCode(code) {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "a code has %d to %d letters and digits (A–Z, 0–9)", punchcard.MinCode, punchcard.MaxCode).In(fmt.Sprintf("codes[%d]", i))
		}
		if !seen[code] {
			seen[code] = true
			codes = append(codes, code)
		}
	}
	var body codesAdded
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if body.Added, err = tx.PoolCodes(in.Reward, codes); err != nil {
			return err
		}
		body.Free, err = tx.FreeCodes(in.Reward)
		return err
	})
	if err != nil {
		return nil, err
	}
	body.Duplicates = int64(len(in.Body.Codes)) - body.Added
	return answer(body), nil
}
