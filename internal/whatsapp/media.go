package whatsapp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// The largest media that Meta takes, in bytes, from its page on supported media types. A sticker that does not move may
// have 100 KB; that is Meta's to judge.
const (
	MaxImage    = 5 << 20
	MaxAudio    = 16 << 20
	MaxVideo    = 16 << 20
	MaxDocument = 100 << 20
	MaxSticker  = 500 << 10
)

// Upload is a file to be sent in messages.
type Upload struct {
	Type     string // its MIME type, which says what kind of media it is: image/webp is a sticker
	Filename string // mostly for documents
	Size     int64  // of Content, in bytes
	Content  io.Reader
}

// MediaInfo is what Meta knows of a file.
type MediaInfo struct {
	ID   string
	URL  string // where it lives for the next 5 minutes, for whoever has the token
	Type string // its MIME type
	Hash string // its SHA-256
	Size int64  // bytes; 0 when Meta does not tell
}

// UploadMedia gives Meta a file and is the id to send it by, for 30 days. A file that is too large for its kind is refused
// before the call. The error is an *Error; after one that is Ambiguous, uploading again does no harm.
func (c *Client) UploadMedia(ctx context.Context, u Upload) (string, error) {
	kind, _, err := mime.ParseMediaType(u.Type)
	switch {
	case err != nil:
		return "", refuse("the file's type is no MIME type")
	case u.Content == nil || u.Size <= 0:
		return "", refuse("the file is empty")
	case u.Size > maxMedia(kind):
		return "", refuse("the file is larger than WhatsApp takes for its type")
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	// Writes to a buffer do not fail.
	_ = w.WriteField("messaging_product", "whatsapp")
	_ = w.WriteField("type", u.Type)
	_, _ = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {mime.FormatMediaType("form-data", map[string]string{"name": "file", "filename": firstOf(u.Filename, "file")})},
		"Content-Type":        {u.Type},
	})
	head := form.Len()
	_ = w.Close()
	body := form.Bytes()
	req, err := c.request(ctx, http.MethodPost, c.cfg.PhoneNumberID+"/media", nil,
		io.MultiReader(bytes.NewReader(body[:head]), u.Content, bytes.NewReader(body[head:])))
	if err != nil {
		return "", err
	}
	req.ContentLength = int64(len(body)) + u.Size // a Content of another size fails before Meta has it whole
	req.Header.Set("Content-Type", w.FormDataContentType())
	var answer struct {
		ID string `json:"id"`
	}
	if err := c.exchange(c.media, req, &answer); err != nil {
		return "", err
	}
	if answer.ID == "" {
		return "", &Error{Code: CodeNone, HTTPStatus: http.StatusOK, Class: Ambiguous, what: "accepted without an id"}
	}
	return answer.ID, nil
}

func maxMedia(kind string) int64 {
	family, _, _ := strings.Cut(kind, "/")
	switch {
	case kind == "image/webp":
		return MaxSticker
	case family == "image":
		return MaxImage
	case family == "audio":
		return MaxAudio
	case family == "video":
		return MaxVideo
	}
	return MaxDocument
}

// GetMedia looks a file up, by the id of an upload or of an inbound message. The error is an *Error.
func (c *Client) GetMedia(ctx context.Context, id string) (MediaInfo, error) {
	var answer struct {
		ID   loose  `json:"id"`
		URL  string `json:"url"`
		Type loose  `json:"mime_type"`
		Hash loose  `json:"sha256"`
		Size loose  `json:"file_size"` // as text in Meta's examples
	}
	if err := c.call(ctx, http.MethodGet, url.PathEscape(id), c.ownMedia(), nil, &answer); err != nil {
		return MediaInfo{}, err
	}
	return MediaInfo{ID: string(answer.ID), URL: answer.URL, Type: string(answer.Type), Hash: string(answer.Hash), Size: count(answer.Size)}, nil
}

// DownloadMedia writes a file to w, by the id of an upload or of an inbound message, if it has at most so many bytes. The
// file is looked up each time, since its address lives 5 minutes: keep the id. What was written before an error is no file.
// The error is an *Error, and any but those of w may be tried again as its Class says.
func (c *Client) DownloadMedia(ctx context.Context, id string, w io.Writer, most int64) (MediaInfo, error) {
	info, err := c.GetMedia(ctx, id)
	if err != nil {
		return MediaInfo{}, err
	}
	if info.Size > most {
		return info, tooLarge()
	}
	address, err := url.Parse(info.URL)
	if err != nil || !c.mayAsk(address) {
		return info, refuse("the file's address is none that the token may be sent to")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return info, refuse("the file's address is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	res, err := c.media.Do(req)
	if err != nil {
		return info, unread(unanswered(err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return info, unread(refused(res, raw, time.Now()))
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(res.Body, most+1))
	switch {
	case n > most:
		return info, tooLarge()
	case err != nil:
		return info, &Error{Code: CodeNone, HTTPStatus: res.StatusCode, Class: Retry, what: "the file broke off", cause: contextCause(err)}
	case !isHash(hash.Sum(nil), info.Hash):
		return info, &Error{Code: CodeNone, HTTPStatus: res.StatusCode, Class: Retry, what: "the file is not the one that was announced"}
	}
	info.Size = n
	return info, nil
}

// DeleteMedia takes a file from Meta. The error is an *Error.
func (c *Client) DeleteMedia(ctx context.Context, id string) error {
	return c.confirmed(ctx, http.MethodDelete, url.PathEscape(id), c.ownMedia(), nil)
}

// ownMedia has Meta check that the file is of this number.
func (c *Client) ownMedia() url.Values { return url.Values{"phone_number_id": {c.cfg.PhoneNumberID}} }

// mayAsk tells whether the token may go to an address of Meta's answer: one that nobody on the way can read, or that of the
// Graph API itself, which a machine without an account has on plain HTTP.
func (c *Client) mayAsk(address *url.URL) bool {
	base, err := url.Parse(c.cfg.BaseURL)
	if err != nil || address.Host == "" || address.User != nil {
		return false
	}
	if base.Scheme == "https" {
		return address.Scheme == "https"
	}
	return address.Scheme == base.Scheme && address.Host == base.Host
}

// unread is an error of a download. Reading a file twice does no harm: nothing of it is ambiguous.
func unread(e *Error) *Error {
	if e.Class == Ambiguous {
		e.Class = Retry
	}
	return e
}

func tooLarge() *Error {
	return &Error{Code: CodeNone, Class: Recipient, what: "the file is larger than is taken here"}
}

// isHash tells whether a hash is the one that Meta wrote, in hexadecimal or base64; when it wrote none there is nothing to say.
func isHash(got []byte, written string) bool {
	want, err := hex.DecodeString(written)
	if err != nil {
		want, err = base64.StdEncoding.DecodeString(written)
	}
	if err != nil || len(want) != sha256.Size {
		return true
	}
	return subtle.ConstantTimeCompare(got, want) == 1
}
