package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"time"

	"punchcard/internal/signed"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// Account is a WhatsApp business account and how it comes by the pictures, films and files that its templates show their reviewers.
type Account struct {
	*whatsapp.Client

	// Private lets a sample be fetched from this machine and from private networks. For development only.
	Private bool
	// StandIn has a made-up sample go where the program's cannot be fetched. For a simulator, which reviews by no eye.
	StandIn bool
}

// Sample fetches what an address leads to, gives it to WhatsApp and is its handle there. The error says what to mend.
func (a Account) Sample(ctx context.Context, format rules.HeaderFormat, address string) (string, error) {
	if !a.HasApp() {
		return "", errors.New("a picture, a film or a document is uploaded to the app of the token, and its id is not set: --whatsapp-app-id")
	}
	upload, err := a.fetch(ctx, format, address)
	if err != nil {
		if !a.StandIn {
			return "", err
		}
		upload = standIns[format]
	}
	handle, err := a.UploadSample(ctx, whatsapp.Upload{
		Type: upload.kind, Filename: upload.name, Size: int64(len(upload.data)), Content: bytes.NewReader(upload.data),
	})
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", address, err)
	}
	return handle, nil
}

// sample is a file that reviewers see.
type sample struct {
	kind, name string
	data       []byte
}

// standIns are the smallest files of their types.
var standIns = map[rules.HeaderFormat]sample{
	rules.HeaderImage:    {"image/png", "sample.png", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x00IEND\xaeB`\x82")},
	rules.HeaderVideo:    {"video/mp4", "sample.mp4", []byte("\x00\x00\x00\x14ftypmp42\x00\x00\x00\x00mp42")},
	rules.HeaderDocument: {"application/pdf", "sample.pdf", []byte("%PDF-1.4\n%%EOF\n")},
}

// What a sample may be, and how large: what a message may be, but that a document is no larger than a film. Ours; reviewers look, and
// it is held in memory.
var samples = map[rules.HeaderFormat]struct {
	types []string
	words string
	most  int64
}{
	rules.HeaderImage:    {[]string{"image/jpeg", "image/png"}, "a JPEG or a PNG", whatsapp.MaxImage},
	rules.HeaderVideo:    {[]string{"video/mp4"}, "an MP4", whatsapp.MaxVideo},
	rules.HeaderDocument: {[]string{"application/pdf"}, "a PDF", whatsapp.MaxVideo},
}

// sampleTimeout bounds the fetch of one sample, in real time. Ours.
const sampleTimeout = 30 * time.Second

// fetch reads a sample from where the program says, over HTTPS.
func (a Account) fetch(ctx context.Context, format rules.HeaderFormat, address string) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !a.Private) {
		return sample{}, fmt.Errorf("%s is no address that begins with https://", address)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return sample{}, fmt.Errorf("%s is no address that begins with https://", address)
	}
	req.Header.Set("User-Agent", "Punchcard")
	res, err := signed.Client(a.Private).Do(req)
	if err != nil {
		if errors.Is(err, signed.ErrPrivate) {
			return sample{}, fmt.Errorf("%s is an address of a private network, which WhatsApp could not reach either", address)
		}
		return sample{}, fmt.Errorf("%s cannot be fetched: %w", address, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return sample{}, fmt.Errorf("%s answers %s: reviewers must see what is there, with the examples of the text in its address", address, res.Status)
	}
	may := samples[format]
	data, err := io.ReadAll(io.LimitReader(res.Body, may.most+1))
	switch {
	case err != nil:
		return sample{}, fmt.Errorf("%s breaks off: %w", address, err)
	case int64(len(data)) > may.most:
		return sample{}, fmt.Errorf("%s has more than %d MB", address, may.most>>20)
	}
	kind := http.DetectContentType(data) // servers say many things
	if !slices.Contains(may.types, kind) {
		return sample{}, fmt.Errorf("%s is not %s", address, may.words)
	}
	return sample{kind: kind, name: path.Base(u.Path), data: data}, nil
}

// sampleKey is what a handle stands for: the same file is uploaded once in a push.
type sampleKey struct {
	format  rules.HeaderFormat
	address string
}

// withSamples gives a template's pictures, films and files to WhatsApp, and puts their handles where the template shows them.
func withSamples(ctx context.Context, book TemplateBook, w rules.WireTemplate, handles map[sampleKey]string) (rules.WireTemplate, error) {
	give := func(format rules.HeaderFormat, address *string) error {
		if format == rules.HeaderText || format == rules.HeaderLocation {
			return nil
		}
		key := sampleKey{format, *address}
		if _, ok := handles[key]; !ok {
			handle, err := book.Sample(ctx, format, *address)
			if err != nil {
				return err
			}
			handles[key] = handle
		}
		*address = handles[key]
		return nil
	}
	if err := give(w.HeaderFormat, &w.HeaderExample); err != nil {
		return w, err
	}
	w.Cards = slices.Clone(w.Cards)
	for i := range w.Cards {
		if err := give(w.Cards[i].HeaderFormat, &w.Cards[i].HeaderExample); err != nil {
			return w, fmt.Errorf("card %d: %w", i+1, err)
		}
	}
	return w, nil
}
