package dispatch

import (
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// tapConfirmed and tapKept end the payload of the buttons under the question whether to use a reward now.
const (
	tapConfirmed = "/yes"
	tapKept      = "/no"
)

// tapsCapture hears a tap that uses a grant: it asks first, and uses it when that is confirmed.
func (r *routing) tapsCapture(payload string) error {
	id, confirmed := strings.CutSuffix(payload, tapConfirmed)
	id, kept := strings.CutSuffix(id, tapKept)
	g, err := r.tx.Grant(id)
	if err != nil {
		return err
	}
	say := func(reason string) error {
		return r.reply(replyCannotUse, nil, "{reason}", fence.Words(reason, r.customer.Language, r.policy.Language))
	}
	if g == nil || g.CustomerID != r.customer.ID {
		return say(refusedUnknown)
	}
	title, err := r.titleOf(g.Reward, g.Version)
	if err != nil {
		return err
	}
	if kept {
		return r.reply(replyNotUsed, nil, "{reward}", title)
	}
	refused, err := usable(r.tx, r.policy.Program, g, punchcard.CapturedByTap, "", confirmed)
	if err != nil {
		return err
	}
	if refused != nil {
		if err := keepRefusal(r.tx, g, Till{}, punchcard.RefusedCapture, refused.Reason); err != nil {
			return err
		}
		return say(refused.Reason)
	}
	if !confirmed {
		return r.reply(replyConfirm, &fence.Menu{Rows: []fence.MenuRow{
			{ID: rules.PayloadCapture + g.ID + tapConfirmed, Title: inLanguage(useButton, r.customer.Language, r.policy.Language)},
			{ID: rules.PayloadCapture + g.ID + tapKept, Title: inLanguage(keepButton, r.customer.Language, r.policy.Language)},
		}}, "{reward}", title)
	}
	how := &punchcard.Capture{By: punchcard.CapturedByTap, OrderRef: r.event.ID}
	if _, err := fence.Capture(r.tx, g, how, r.event.Depth); err != nil {
		return err
	}
	at := r.tx.Now.In(fence.Zone(r.policy.Program, r.customer)).Format("2006-01-02 15:04")
	return r.reply(replyUsed, nil, "{reward}", title, "{time}", at)
}
