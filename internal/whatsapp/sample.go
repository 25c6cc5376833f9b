package whatsapp

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// sampleTypes are those that Meta takes by its Resumable Upload API. Source: Meta's page on that.
var sampleTypes = []string{"application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"}

// HasApp tells whether the client knows the app, which UploadSample needs.
func (c *Client) HasApp() bool { return c.cfg.AppID != "" }

// UploadSample gives Meta a file that a template shows its reviewers, and is the handle by which CreateTemplate names it. It goes by
// the Resumable Upload API, which is the app's and so needs Config.AppID. The error is an *Error; uploading again does no harm.
func (c *Client) UploadSample(ctx context.Context, u Upload) (string, error) {
	kind, _, err := mime.ParseMediaType(u.Type)
	switch {
	case c.cfg.AppID == "":
		return "", refuse("an upload of a template's sample needs the id of the app")
	case err != nil || !slices.Contains(sampleTypes, kind):
		return "", refuse("a template's sample is a JPEG, a PNG, an MP4 or a PDF")
	case u.Content == nil || u.Size <= 0:
		return "", refuse("the file is empty")
	case u.Size > maxMedia(kind):
		return "", refuse("the file is larger than WhatsApp takes for its type")
	}
	var session struct {
		ID string `json:"id"`
	}
	query := url.Values{"file_name": {firstOf(u.Filename, "sample")}, "file_length": {strconv.FormatInt(u.Size, 10)}, "file_type": {kind}}
	if err := c.call(ctx, http.MethodPost, url.PathEscape(c.cfg.AppID)+"/uploads", query, nil, &session); err != nil {
		return "", err
	}
	// The id is a path of its own with a signature for a query: it goes back as it came, if it can be nothing else.
	if !strings.HasPrefix(session.ID, "upload:") || strings.ContainsAny(session.ID, "/#\\ \t\r\n") {
		return "", &Error{Code: CodeNone, HTTPStatus: http.StatusOK, Class: Retry, what: "the upload began without an id"}
	}
	req, err := c.request(ctx, http.MethodPost, session.ID, nil, u.Content)
	if err != nil {
		return "", err
	}
	req.ContentLength = u.Size
	req.Header.Set("Authorization", "OAuth "+c.cfg.Token)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("File_offset", "0")
	var answer struct {
		Handle string `json:"h"`
	}
	if err := c.exchange(c.media, req, &answer); err != nil {
		return "", err
	}
	if answer.Handle == "" {
		return "", &Error{Code: CodeNone, HTTPStatus: http.StatusOK, Class: Retry, what: "the upload was taken without a handle"}
	}
	return answer.Handle, nil
}
