package dispatch

import (
	"bytes"
	"context"
	"fmt"

	"rsc.io/qr"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// WayIn is a link of the program's, with its address.
type WayIn struct {
	rules.Link

	URL string
}

// SetNumber says the business's WhatsApp number, which links are made of. The error is CodeInvalid for what is no phone number.
func SetNumber(ctx context.Context, s *store.Store, number string) error {
	e164, _, err := punchcard.ParsePhone(number)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(tx *store.Tx) error { return tx.SetSetting(fence.SettingNumber, e164) })
}

// Links are the program's links with their addresses. The error is CodeConflict where nobody has said the business's number.
func (d *Dispatcher) Links(ctx context.Context) ([]WayIn, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil || len(policy.Links) == 0 {
		return nil, err
	}
	number, err := d.store.View(ctx).Setting(fence.SettingNumber)
	if err != nil {
		return nil, err
	}
	if number == "" {
		return nil, punchcard.Errorf(punchcard.CodeConflict, "the business's WhatsApp number is not known: start serve with --whatsapp-number").Because("no_number")
	}
	links := make([]WayIn, len(policy.Links))
	for i, l := range policy.Links {
		links[i] = WayIn{Link: l, URL: fence.WhatsAppLink(number, l.Text)}
	}
	return links, nil
}

// quietZone is how many modules are left white round a QR code. Source: ISO/IEC 18004.
const quietZone = 4

// QRAsPNG is an address as a QR code to print.
func QRAsPNG(address string) ([]byte, error) {
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return nil, fmt.Errorf("make a QR code: %w", err)
	}
	code.Scale = 12
	return code.PNG(), nil
}

// QRAsSVG is an address as a QR code to print at any size.
func QRAsSVG(address string) ([]byte, error) {
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return nil, fmt.Errorf("make a QR code: %w", err)
	}
	side := code.Size + 2*quietZone
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`,
		side, side, side, side)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+quietZone, y+quietZone)
			}
		}
	}
	b.WriteString(`"/></svg>` + "\n")
	return b.Bytes(), nil
}
