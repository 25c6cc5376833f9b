package simulator

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"punchcard/internal/whatsapp"
)

// sampleTypes are what the Resumable Upload API takes, and the header that shows it. Source: Meta's page on that API.
var sampleTypes = map[string]string{
	"application/pdf": "DOCUMENT", "image/jpeg": "IMAGE", "image/jpg": "IMAGE", "image/png": "IMAGE", "video/mp4": "VIDEO",
}

// sampleFact is a file that was uploaded to the app, for the reviewers of templates. Its bytes are not kept: nobody looks.
type sampleFact struct {
	Handle string `json:"handle"`
	Format string `json:"format"` // of the header that may show it
}

// uploading is an upload that has begun. It is gone with the process, as Meta's is after a while.
type uploading struct {
	format string
	length int64 // bytes
}

// uploadPrefix begins the id of an upload, which is a path of its own.
const uploadPrefix = "upload:"

// beginUpload is POST /{app id}/uploads: it answers where the bytes go.
func (s *Simulator) beginUpload(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AppID || id == "" {
		return noObject(r.Method, id)
	}
	q := r.URL.Query()
	format, ok := sampleTypes[q.Get("file_type")]
	length, err := strconv.ParseInt(q.Get("file_length"), 10, 64)
	switch {
	case !ok:
		return invalid("Param file_type must be application/pdf, image/jpeg, image/jpg, image/png or video/mp4.")
	case err != nil || length < 1 || length > int64(largest[strings.ToLower(format)]):
		return invalid("Param file_length must be from 1 to %d bytes.", largest[strings.ToLower(format)])
	case q.Get("file_name") == "":
		return missing("The parameter file_name is required.")
	}
	id := uploadPrefix + rand.Text()
	s.mu.Lock()
	s.uploads[id] = uploading{format, length}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"id": id + "?sig=" + rand.Text()})
	return nil
}

// endUpload is POST /{upload id}: the bytes, from their beginning. It answers the handle.
func (s *Simulator) endUpload(w http.ResponseWriter, r *http.Request) *graphError {
	if r.Header.Get("File_offset") != "0" {
		return invalid("The header file_offset is required; the simulator takes a file whole, from 0.")
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("id")
	u, ok := s.uploads[id]
	switch {
	case !ok:
		return noObject(r.Method, id)
	case int64(len(raw)) != u.length:
		return invalid("The file has %d bytes, and file_length said %d.", len(raw), u.length)
	}
	f := &sampleFact{Handle: "4::" + rand.Text(), Format: u.format}
	if s.commit(fact{Sample: f}) != nil {
		return unavailable
	}
	delete(s.uploads, id)
	writeJSON(w, http.StatusOK, object{"h": f.Handle})
	return nil
}

// postToObject is POST /{id}: the bytes of an upload, which have another form of the token, or the edit of a template.
func (s *Simulator) postToObject(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.PathValue("id"), uploadPrefix) {
		s.manage(s.postObject)(w, r)
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "OAuth ")
	switch {
	case !versionForm.MatchString(r.PathValue("version")):
		http.NotFound(w, r)
		return
	case !ok || subtle.ConstantTimeCompare([]byte(token), []byte(s.opt.Token)) != 1:
		wrongToken.write(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxMedia)
	if err := s.endUpload(w, r); err != nil {
		err.write(w)
	}
}

// checkSamples refuses a picture, film or document that reviewers cannot see: each such header has the handle of an upload of its
// kind, and not an address. The caller holds mu.
func (s *Simulator) checkSamples(components []templateComponent) *graphError {
	for _, c := range components {
		for _, card := range c.Cards {
			if refusal := s.checkSamples(card.Components); refusal != nil {
				return refusal
			}
		}
		if c.Type != whatsapp.ComponentHeader || !slices.Contains([]string{"IMAGE", "VIDEO", "DOCUMENT"}, c.Format) {
			continue
		}
		switch {
		case c.Example == nil || len(c.Example.HeaderHandle) != 1:
			return refused(2388273, "Message template is missing a sample", "A header of the format %s needs a sample: example.header_handle.", c.Format)
		case s.samples[c.Example.HeaderHandle[0]] != c.Format:
			return refused(2494102, "Uploaded media handle is invalid", "The handle in header_handle is none of an upload for a header of the format %s.", c.Format)
		}
	}
	return nil
}
