package dispatch

import (
	"context"
	"strings"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// Given is a reward that somebody gives by hand.
type Given struct {
	Customer, Reward string
	By, Note         string // who gives it, and why
	Request          string // names the gift: the second time it is answered and not given again; "": nothing does
}

// GiveReward gives a customer a reward by hand, within its limits and without a cost. The errors are CodeNotFound for a customer or
// reward that is not there, CodeConflict with the reason of the rule that refuses it, and CodeUpstream where the code is another system's, which
// gives none: then nothing is given.
func (d *Dispatcher) GiveReward(ctx context.Context, given Given) (*punchcard.Grant, error) {
	by, note, err := byHand(given.By, given.Note)
	if err != nil {
		return nil, err
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	reward := policy.Rewards[given.Reward]
	if reward == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no reward %q in the program", given.Reward).In("reward").Because(fence.RefusedUnknown)
	}
	var grant *punchcard.Grant
	refused := ""
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		refused = ""
		c, err := tx.LockCustomer(given.Customer)
		if err != nil {
			return err
		}
		// The customer is locked, so of two with one request the second finds what the first has stored.
		if grant, err = tx.GrantOfRequest(given.Request); err != nil || grant != nil {
			return err
		}
		grant = &punchcard.Grant{Author: by, Note: note, Request: given.Request}
		refused, err = fence.Give(fence.Gift{
			Wish:  fence.Wish{Tx: tx, Reward: reward, Customer: c, Env: fence.Scene{Tx: tx, Program: policy.Program, Customer: c}.Env},
			Grant: grant, Version: policy.Version, Policy: policy.Program,
		})
		if err != nil || refused == "" {
			return err
		}
		return tx.AddRefusal(punchcard.Refusal{CustomerID: c.ID, Reward: reward.Name, Action: punchcard.RefusedGive, Reason: refused})
	})
	if err != nil {
		return nil, err
	}
	if refused != "" {
		return nil, punchcard.Errorf(punchcard.CodeConflict, "the reward is refused: %s", strings.ReplaceAll(refused, "_", " ")).Because(refused)
	}
	if grant.AwaitsCode {
		// Also where an earlier request had come so far and died: the grant is the same, and so is what is asked.
		if err := d.fetchCode(ctx, grant); err != nil {
			return nil, err
		}
	}
	d.events.ring()
	return grant, nil
}

// fetchCode asks another system for the code of a grant that was given by hand, and gives the grant back where there is none. Whoever waits for
// the answer may have gone meanwhile: it is asked and written down all the same.
func (d *Dispatcher) fetchCode(ctx context.Context, g *punchcard.Grant) error {
	ctx = context.WithoutCancel(ctx)
	program, err := d.fence.Catalog.Program(ctx, g.Version)
	if err != nil {
		return err
	}
	reward := program.Rewards[g.Reward]
	issued, failed, err := d.Caller.Code(ctx, program, reward, g)
	if err != nil {
		return err
	}
	refused := ""
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(g.CustomerID); err != nil {
			return err
		}
		if refused, err = fence.SettleCode(tx, g, issued, failed); err != nil || refused == "" {
			return err
		}
		return tx.AddRefusal(punchcard.Refusal{CustomerID: g.CustomerID, Reward: g.Reward, GrantID: g.ID, Action: punchcard.RefusedGive, Reason: refused})
	})
	if err != nil || refused == "" {
		return err
	}
	return punchcard.Errorf(punchcard.CodeUpstream, "%s gave no code: %s. Nothing was given; ask again later", reward.Call.Name, whyNoCode(failed)).
		Because(fence.RefusedNoCode)
}

// whyNoCode says to the person who gives a reward why another system gave no code for it.
func whyNoCode(failed string) string {
	switch failed {
	case calls.Unreachable:
		return "it does not answer"
	case calls.Refused:
		return "it refused the request, or may not be reached from here"
	case calls.Unsigned:
		return "this process has no secret to sign the request with (--call-secret)"
	default:
		return "it answered with none that can be used"
	}
}

// byHand are who does something by hand and why, without the space around them.
func byHand(by, note string) (string, string, error) {
	by, note = strings.TrimSpace(by), strings.TrimSpace(note)
	if by == "" || len(by) > maxName || !clean(by) {
		return "", "", punchcard.Errorf(punchcard.CodeInvalid, "say who does it, in at most %d bytes", maxName).In("by")
	}
	if note == "" || len(note) > maxNote || !clean(note) {
		return "", "", punchcard.Errorf(punchcard.CodeInvalid, "say why, in at most %d bytes", maxNote).In("reason")
	}
	return by, note, nil
}

// RevealCode answers the whole code of a grant to somebody to whom it does not belong, and records who asked and why. The errors
// are CodeNotFound where there is no such grant, or it has no code, and CodeInvalid for a name or a reason that is none.
func (d *Dispatcher) RevealCode(ctx context.Context, grant, by, reason string) (string, error) {
	by, reason, err := byHand(by, reason)
	if err != nil {
		return "", err
	}
	code := ""
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		g, err := tx.Grant(grant)
		if err != nil {
			return err
		}
		if g == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "there is no grant with that id")
		}
		if g.Code == "" {
			return punchcard.Errorf(punchcard.CodeNotFound, "the grant has no code").Because("no_code")
		}
		code, err = tx.Reveal(grant, by, reason)
		return err
	})
	return code, err
}

// OpenContent is the address of the content that a customer's own link leads to. The errors are CodeNotFound for a link that we have
// not made, and CodeGone for one whose grant has expired or was given back; both are for the customer to read.
func (d *Dispatcher) OpenContent(ctx context.Context, token string) (string, error) {
	nothing := punchcard.Errorf(punchcard.CodeNotFound, "There is nothing at this address.")
	view := d.store.View(ctx)
	grant, err := view.GrantByLink(token)
	if err != nil {
		return "", err
	}
	if grant == nil {
		return "", nothing
	}
	switch {
	case grant.Expired(view.Now) || grant.Reason == punchcard.ReasonExpired: // whether or not it has been looked after yet
		return "", punchcard.Errorf(punchcard.CodeGone, "This link has expired.").Because(punchcard.ReasonExpired)
	case grant.Status == punchcard.GrantReleased:
		return "", punchcard.Errorf(punchcard.CodeGone, "This link is no longer valid.").Because("released")
	}
	program, err := d.fence.Catalog.Program(ctx, grant.Version)
	if err != nil {
		return "", err
	}
	reward := program.Rewards[grant.Reward]
	if reward == nil || reward.URL == "" {
		return "", nothing
	}
	return reward.URL, nil
}
