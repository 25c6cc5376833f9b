package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// How long media can be fetched: what a person sent 7 days, what the business uploaded 30. An address to fetch it from is good
// for 5 minutes. All of it is real time, since it is about machines. (Meta, "Media".)
const (
	receivedLife = 7 * 24 * time.Hour
	uploadedLife = 30 * 24 * time.Hour
	addressLife  = 5 * time.Minute
)

// The largest file of a kind, in bytes. (Meta, "Media".)
var largest = map[string]int{
	"image": 5 << 20, "audio": 16 << 20, "video": 16 << 20, "document": 100 << 20, "sticker": 500 << 10,
}

// maxMedia bounds a request that brings a file: the largest, and room for what is around it.
const maxMedia = 101 << 20

// mediaTypes are the MIME types that Meta takes, by kind.
var mediaTypes = map[string][]string{
	"image":   {"image/jpeg", "image/png"},
	"sticker": {"image/webp"},
	"audio":   {"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"},
	"video":   {"video/mp4", "video/3gpp"},
	"document": {
		"application/pdf", "text/plain", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation",
	},
}

// mediaFact is a file that a person sent or the business uploaded. Its bytes are in a file of the same id beside the journal.
type mediaFact struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`               // MIME
	Filename string    `json:"filename,omitempty"` // what its owner calls it
	SHA256   string    `json:"sha256"`
	Size     int       `json:"size"` // bytes
	Phone    string    `json:"phone,omitempty"`
	Received bool      `json:"received,omitempty"` // a person sent it
	Deleted  bool      `json:"deleted,omitempty"`  // the business deleted it
	At       time.Time `json:"at"`                 // real time
}

// storedMedia is media that is kept. Data is set when there is no journal, and so no folder beside it.
type storedMedia struct {
	mediaFact
	data []byte
}

// kindOf is what a file of a MIME type is sent as: a document when it is nothing else.
func kindOf(mimeType string) string {
	for _, kind := range []string{"image", "sticker", "audio", "video"} {
		if slices.Contains(mediaTypes[kind], mimeType) {
			return kind
		}
	}
	return "document"
}

// mimeOf reads a MIME type, without its parameters; a wrong one is bytes.
func mimeOf(contentType string) string {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(t, "/") || len(t) > 100 {
		return "application/octet-stream"
	}
	return t
}

// MediaSuffix is what the folder of the files that people sent and the business uploaded is called, after the journal beside it.
const MediaSuffix = ".media"

// mediaFolder is where the bytes are; empty keeps them in memory.
func (s *Simulator) mediaFolder() string {
	if s.opt.DataFile == "" {
		return ""
	}
	return s.opt.DataFile + MediaSuffix
}

// keep writes the bytes of a file, which the fact that names it must follow: without one nobody finds them.
func (s *Simulator) keep(data []byte, contentType, filename string) (*mediaFact, error) {
	sum := sha256.Sum256(data)
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	m := &mediaFact{
		ID: strconv.FormatUint(1_000_000_000_000_000+binary.BigEndian.Uint64(b[:])%8_000_000_000_000_000, 10), Type: mimeOf(contentType),
		Filename: cleanFilename(filename), SHA256: hex.EncodeToString(sum[:]), Size: len(data), At: time.Now().UTC(),
	}
	folder := s.mediaFolder()
	if folder == "" {
		s.mu.Lock()
		s.mediaBytes[m.ID] = data
		s.mu.Unlock()
		return m, nil
	}
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		// 0600: it is what people sent.
		err = os.WriteFile(filepath.Join(folder, m.ID), data, 0o600)
	}
	if err != nil {
		s.log.Error("simulator: a file cannot be kept", "error", err)
		return nil, fmt.Errorf("simulator: %w", err)
	}
	return m, nil
}

// cleanFilename leaves a file's name without a path, and without what is no character.
func cleanFilename(name string) string {
	name = strings.ToValidUTF8(name[strings.LastIndexAny(name, `/\`)+1:], "")
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	if r := []rune(name); len(r) > 240 {
		name = string(r[:240])
	}
	return name
}

// applyMedia makes a fact about a file true. The caller holds mu.
func (s *Simulator) applyMedia(f mediaFact) {
	if f.Deleted {
		delete(s.media, f.ID)
		return
	}
	s.media[f.ID] = &storedMedia{mediaFact: f, data: s.mediaBytes[f.ID]}
	delete(s.mediaBytes, f.ID)
}

// findMedia is a file that is kept and not too old.
func (s *Simulator) findMedia(id string) *storedMedia {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mediaNow(id)
}

// mediaNow is findMedia for a caller that holds mu.
func (s *Simulator) mediaNow(id string) *storedMedia {
	m := s.media[id]
	if m == nil {
		return nil
	}
	life := uploadedLife
	if m.Received {
		life = receivedLife
	}
	if time.Since(m.At) > life {
		return nil
	}
	return m
}

// postMedia takes a file from the business: POST /{phone id}/media, a form with file, type and messaging_product.
func (s *Simulator) postMedia(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			return &graphError{status: http.StatusRequestEntityTooLarge, code: 131052, title: "Media upload error", details: "the body is too long"}
		}
		return invalid("the body must be multipart/form-data")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	if r.FormValue("messaging_product") != "whatsapp" {
		return invalid("The parameter messaging_product is required and must be whatsapp.")
	}
	in, header, err := r.FormFile("file")
	if err != nil {
		return missing("The parameter file is required.")
	}
	defer func() { _ = in.Close() }()
	mimeType := header.Header.Get("Content-Type")
	if t := r.FormValue("type"); t != "" && strings.Contains(t, "/") {
		mimeType = t
	}
	mimeType = mimeOf(mimeType)
	kind := kindOf(mimeType)
	if !slices.Contains(mediaTypes[kind], mimeType) {
		return invalid("Param file must be a file with one of Meta's media types. Received file of type %q.", mimeType)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return invalid("the file cannot be read")
	}
	if len(data) == 0 || len(data) > largest[kind] {
		return invalid("Param file: a file of type %s has 1 to %d bytes.", mimeType, largest[kind])
	}
	m, err := s.keep(data, mimeType, header.Filename)
	if err != nil {
		return unavailable
	}
	s.mu.Lock()
	err = s.commit(fact{Media: m})
	s.mu.Unlock()
	if err != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"id": m.ID})
	return nil
}

// answerMedia tells the business where a file is to be had.
func (s *Simulator) answerMedia(w http.ResponseWriter, r *http.Request, m *storedMedia) {
	until := strconv.FormatInt(time.Now().Add(addressLife).Unix(), 10)
	address := url.URL{Scheme: "http", Host: r.Host, Path: "/media/" + m.ID, RawQuery: url.Values{"ext": {until}, "hash": {s.signMedia(m.ID, until)}}.Encode()}
	writeJSON(w, http.StatusOK, object{
		"messaging_product": "whatsapp", "url": address.String(), "mime_type": m.Type, "sha256": m.SHA256,
		"file_size": strconv.Itoa(m.Size), "id": m.ID,
	})
}

// deleteMedia forgets a file.
func (s *Simulator) deleteMedia(w http.ResponseWriter, r *http.Request) *graphError {
	id := r.PathValue("id")
	if s.findMedia(id) == nil {
		return noObject(r.Method, id)
	}
	s.mu.Lock()
	err := s.commit(fact{Media: &mediaFact{ID: id, Deleted: true}})
	s.mu.Unlock()
	if err != nil {
		return unavailable
	}
	if folder := s.mediaFolder(); folder != "" {
		_ = os.Remove(filepath.Join(folder, filepath.Base(id))) // nobody finds it any more
	}
	writeJSON(w, http.StatusOK, object{"success": true})
	return nil
}

func (s *Simulator) signMedia(id, until string) string {
	mac := hmac.New(sha256.New, []byte(s.opt.Token))
	mac.Write([]byte(id + "/" + until))
	return hex.EncodeToString(mac.Sum(nil))
}

// downloadMedia serves a file to the business: by the address that getObject gave, with the Graph token, for five minutes.
func (s *Simulator) downloadMedia(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		wrongToken.write(w)
		return
	}
	id, until := r.PathValue("id"), r.URL.Query().Get("ext")
	n, err := strconv.ParseInt(until, 10, 64)
	m := s.findMedia(id)
	if m == nil || err != nil || time.Now().Unix() > n || !hmac.Equal([]byte(s.signMedia(id, until)), []byte(r.URL.Query().Get("hash"))) {
		noObject(r.Method, "the media").write(w)
		return
	}
	w.Header().Set("Content-Type", m.Type)
	s.serveMedia(w, r, m)
}

// shownTypes may be shown by a browser in our own page: they hold no script. Anything else is only offered for saving.
var shownTypes = regexp.MustCompile(`^(image/(jpeg|png|webp|gif)|audio/[a-z0-9.+-]+|video/(mp4|3gpp|webm))$`)

// getPageMedia serves a file to the phone page.
func (s *Simulator) getPageMedia(w http.ResponseWriter, r *http.Request) {
	m := s.findMedia(r.URL.Query().Get("id"))
	if m == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if shownTypes.MatchString(m.Type) {
		h.Set("Content-Type", m.Type)
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": m.Filename}))
	}
	s.serveMedia(w, r, m)
}

// serveMedia writes the bytes of a file. Its type is set already.
func (s *Simulator) serveMedia(w http.ResponseWriter, r *http.Request, m *storedMedia) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=3600")
	if m.data != nil {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.data))
		return
	}
	in, err := os.Open(filepath.Join(s.mediaFolder(), filepath.Base(m.ID)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = in.Close() }()
	http.ServeContent(w, r, "", time.Time{}, in)
}

// postPersonMedia is a person who sends a file: the body is its bytes, Content-Type its type, and ?caption=, ?filename=, ?reply_to=
// and ?voice=true say the rest. ?as=document sends an image or a film as a file.
func (s *Simulator) postPersonMedia(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	mimeType := mimeOf(r.Header.Get("Content-Type"))
	kind := kindOf(mimeType)
	if q.Get("as") == "document" {
		kind = "document"
	}
	caption := q.Get("caption")
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMedia))
	switch {
	case err != nil || len(data) > largest[kind]:
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a file of type %s has at most %d bytes, sent as %s", mimeType, largest[kind], kind))
		return
	case len(data) == 0:
		problem(w, http.StatusBadRequest, "the body must be the file")
		return
	case q.Get("as") != "" && q.Get("as") != "document":
		problem(w, http.StatusBadRequest, "as must be document")
		return
	case utf8.RuneCountInString(caption) > 1024 || !utf8.ValidString(caption):
		problem(w, http.StatusBadRequest, "caption must be at most 1024 characters long")
		return
	}
	s.mu.Lock()
	why := s.mayWrite(phone, q.Get("reply_to"))
	s.mu.Unlock()
	if why != "" {
		problem(w, http.StatusConflict, why)
		return
	}
	kept, err := s.keep(data, mimeType, q.Get("filename"))
	if err != nil {
		problem(w, http.StatusInternalServerError, "the file cannot be kept")
		return
	}
	kept.Phone, kept.Received = phone, true
	m := &message{Type: kind, File: &file{Kind: kind, ID: kept.ID}, ReplyTo: q.Get("reply_to")}
	switch kind {
	case "audio":
		m.File.Voice = q.Get("voice") == "true"
	case "document":
		m.Text, m.File.Filename = caption, kept.Filename
	case "image", "video":
		m.Text = caption
	}
	s.write(w, phone, m, fact{Media: kept})
}
