package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// maxUpload bounds what one upload may bring, in bytes: fifty million codes.
const maxUpload = 1 << 30

var aboutUpload = options{
	maxBody: maxUpload, long: true, consumes: []string{"text/csv", mediaNDJSON},
	about: "For a reward whose codes are a pool. text/csv: a code on each line, in the first column; application/x-ndjson: on each line a string, or an " +
		"object with a code. What is a duplicate or no code is told with its line, and the rest is added. The body is read as it comes, " +
		"and added in small transactions. An upload that broke off goes on where it was when it is sent again with the same `upload`; one that is done " +
		"answers the same again. `GET …/codes/uploads/{upload}` says how far it is.",
}

// uploadSilence is how long a body may stay silent before its sender is taken for gone.
const uploadSilence = time.Minute

type uploadInput struct {
	Reward string `path:"reward" maxLength:"200" doc:"Its name in the catalog"`
	Upload string `query:"upload" maxLength:"100" pattern:"^[A-Za-z0-9._-]*$" doc:"A name of your own for this upload, by which it goes on where it broke off"`
	Type   string `header:"Content-Type" hidden:"true"`

	body io.Reader
	more func() // gives the next part of the body its time
}

// Resolve takes the body as it comes.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	c := humagin.Unwrap(ctx)
	in.body = http.MaxBytesReader(c.Writer, c.Request.Body, maxUpload)
	control := http.NewResponseController(c.Writer)
	in.more = func() {
		// A server that lets no deadline be moved keeps its own.
		_ = control.SetReadDeadline(time.Now().Add(uploadSilence))
	}
	return nil
}

// UploadView is how far an upload of codes is.
type UploadView struct {
	Upload     string              `json:"upload"`
	Status     store.UploadStatus  `json:"status" enum:"open,done"`
	Lines      int64               `json:"lines" doc:"Lines with something on them that are done with"`
	Added      int64               `json:"added"`
	Duplicates int64               `json:"duplicates" doc:"Those that were there already, or came twice"`
	Invalid    int64               `json:"invalid" doc:"Those that are no codes: 4 to 15 letters and digits"`
	Problems   []store.CodeProblem `json:"problems" nullable:"false" doc:"The first 100 of these, with their lines"`
	Free       int64               `json:"free" doc:"How many codes of the pool are free now"`
}

func (s *server) uploadCodes(ctx context.Context, in *uploadInput) (*output[UploadView], error) {
	reward, err := s.rewardNamed(ctx, in.Reward)
	if err != nil {
		return nil, err
	}
	if reward.Codes != rules.CodesPool {
		return nil, errNoPool
	}
	if in.Upload == "" {
		in.Upload = punchcard.NewID(punchcard.PrefixUpload)
	}
	in.more()
	media, _, _ := mime.ParseMediaType(in.Type) // what is not said is CSV
	lines := punchcard.NewCodeFile(in.body, media == mediaNDJSON)
	u, err := s.Store.UploadCodes(ctx, in.Upload, reward.Name, lines, func(store.CodeUpload) { in.more() })
	if err != nil {
		return nil, uploadError(err)
	}
	return s.uploaded(ctx, u)
}

// uploadError says of a body that ended early what to do.
func uploadError(err error) error {
	if _, broken := errors.AsType[*punchcard.BrokenFileError](err); !broken {
		return err
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return punchcard.Errorf(punchcard.CodeTooLarge, "the body is too large: send the codes in several uploads")
	}
	return malformed("the body broke off: send it again with the same upload, and it goes on where it was")
}

func (s *server) uploaded(ctx context.Context, u *store.CodeUpload) (*output[UploadView], error) {
	v, err := ViewUpload(s.Store.View(ctx), u)
	if err != nil {
		return nil, err
	}
	return answer(v), nil
}

// ViewUpload is an upload as the API shows it.
func ViewUpload(view *store.Tx, u *store.CodeUpload) (UploadView, error) {
	free, err := view.FreeCodes(u.Reward)
	return UploadView{u.ID, u.Status, u.Lines, u.Added, u.Duplicates, u.Invalid, u.Problems, free}, err
}

type uploadPath struct {
	Reward string `path:"reward" maxLength:"200" doc:"Its name in the catalog"`
	Upload string `path:"upload" maxLength:"100" doc:"As it was named, or answered"`
}

func (s *server) codeUpload(ctx context.Context, in *uploadPath) (*output[UploadView], error) {
	u, err := s.Store.View(ctx).CodeUpload(in.Upload)
	if err != nil {
		return nil, err
	}
	if u == nil || u.Reward != in.Reward {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "the reward has no upload of that name")
	}
	return s.uploaded(ctx, u)
}
