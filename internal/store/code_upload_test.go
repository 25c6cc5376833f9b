package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func upload(h *house, id, reward, text string) (*store.CodeUpload, error) {
	return h.UploadCodes(h.t.Context(), id, reward, punchcard.NewCodeFile(strings.NewReader(text), false), nil)
}

func TestUploadTellsEachProblem(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.do(func(tx *store.Tx) error { _, err := tx.PoolCodes("other", []string{"TAKEN001"}); return err })
		const file = "\ufeffcode,batch\r\nGOOD0001,x\r\n\r\ngood-0002\r\nGOOD0001\r\nTAKEN-001\r\nno\r\nÆØÅ12345\r\n\"GOOD0003\",y\r\n"
		u, err := upload(h, "upl_1", "r", file)
		require.NoError(h.t, err)
		require.Equal(h.t, store.UploadDone, u.Status)
		require.Equal(h.t, []int64{7, 3, 2, 2}, []int64{u.Lines, u.Added, u.Duplicates, u.Invalid})
		require.Equal(h.t, []store.CodeProblem{{5, "duplicate"}, {6, "duplicate"}, {7, "invalid"}, {8, "invalid"}}, u.Problems)
		free, err := h.view().FreeCodes("r")
		require.NoError(h.t, err)
		require.EqualValues(h.t, 3, free)

		again, err := upload(h, "upl_1", "r", file)
		require.NoError(h.t, err)
		require.Equal(h.t, u, again, "the same upload adds nothing twice and tells the same")
		_, err = upload(h, "upl_1", "r", file+"MORE0001\n")
		require.ErrorIs(h.t, err, store.ErrOtherFile)
		_, err = upload(h, "upl_1", "r", strings.Replace(file, "GOOD0003", "GOOD0004", 1))
		require.ErrorIs(h.t, err, store.ErrOtherFile)
		_, err = upload(h, "upl_1", "other", file)
		require.Equal(h.t, "other_reward", punchcard.ReasonOf(err))
		u, err = upload(h, "upl_2", "r", file)
		require.NoError(h.t, err)
		require.Equal(h.t, []int64{0, 5}, []int64{u.Added, u.Duplicates}, "another upload finds them there")
		u, err = upload(h, "upl_3", "r", "")
		require.NoError(h.t, err)
		require.Equal(h.t, store.UploadDone, u.Status)
		_, err = upload(h, "upl_4", "r", strings.Repeat("A", 5000))
		require.Equal(h.t, punchcard.CodeInvalid, punchcard.CodeOf(err))

		lines := punchcard.NewCodeFile(strings.NewReader("\"JSON0001\"\n{\"code\": \"JSON0002\"}\n{\"kode\": 1}\n7\n"), true)
		u, err = h.UploadCodes(h.t.Context(), "upl_5", "r", lines, nil)
		require.NoError(h.t, err)
		require.Equal(h.t, []int64{2, 2}, []int64{u.Added, u.Invalid})
		require.NotContains(h.t, h.everything(), "GOOD000")
	})
}

// codesFrom are made up as they are read: line n is the code of n.
type codesFrom struct {
	n, until int64
	fail     int64 // the line at which reading breaks off; 0: none
}

var errCut = errors.New("the line was cut")

func (c *codesFrom) Next() (punchcard.CodeLine, error) {
	switch c.n++; {
	case c.n == c.fail:
		return punchcard.CodeLine{}, errCut
	case c.n > c.until:
		return punchcard.CodeLine{}, io.EOF
	}
	return punchcard.CodeLine{Number: c.n, Code: fmt.Sprintf("CODE%08d", c.n)}, nil
}

// Wherever an upload breaks off, it goes on after the last line that was committed, and tells what came of all.
func TestUploadIsResumed(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const lines = 2750
		for _, cut := range []int64{1, 2, 700, 1501, 2749} {
			_, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: lines, fail: cut}, nil)
			require.ErrorIs(h.t, err, errCut)
			u, err := h.view().CodeUpload("upl_1")
			require.NoError(h.t, err)
			require.Equal(h.t, store.UploadOpen, u.Status)
			require.Equal(h.t, (cut-1)/500*500, u.Lines)
		}
		seen := []int64{}
		u, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: lines}, func(u store.CodeUpload) { seen = append(seen, u.Lines) })
		require.NoError(h.t, err)
		require.Equal(h.t, []int64{lines, lines, 0, 0}, []int64{u.Lines, u.Added, u.Duplicates, u.Invalid})
		require.Equal(h.t, []int64{lines}, seen)
	})
}

// Two who upload the same at once add each code once, and one of them is told to leave it to the other.
func TestUploadTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		errs := together(4, func(int) error {
			_, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: 3000}, nil)
			return err
		})
		for _, err := range errs {
			if err != nil {
				require.Equal(h.t, "in_progress", punchcard.ReasonOf(err), "%v", err)
			}
		}
		u, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: 3000}, nil)
		require.NoError(h.t, err)
		require.Equal(h.t, []int64{3000, 0}, []int64{u.Added, u.Duplicates})
	})
}

// TestUploadInBoundedMemory adds many codes while it watches the heap. PUNCHCARD_UPLOAD says how many; a million where it matters.
func TestUploadInBoundedMemory(t *testing.T) { //nolint:paralleltest // it measures the heap of the whole process
	each(t, func(h *house) {
		many := int64(5_000)
		if n, err := strconv.ParseInt(os.Getenv("PUNCHCARD_UPLOAD"), 10, 64); err == nil {
			many = n
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, peak := m.HeapInuse, atomic.Uint64{}
		started, calls := time.Now(), 0
		u, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: many}, func(store.CodeUpload) {
			if calls++; calls%20 != 0 {
				return
			}
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
		})
		require.NoError(h.t, err)
		took := time.Since(started)
		require.Equal(h.t, []int64{many, 0, 0}, []int64{u.Added, u.Duplicates, u.Invalid})
		free, err := h.view().FreeCodes("r")
		require.NoError(h.t, err)
		require.Equal(h.t, many, free)
		require.Less(h.t, max(peak.Load(), before)-before, uint64(64<<20), "the heap grew with the file")
		h.t.Logf("%d codes in %s: %.0f a second, heap %d MiB before, %d MiB at its peak", many, took.Round(time.Millisecond),
			float64(many)/took.Seconds(), before>>20, peak.Load()>>20)
	})
}

// A thousand takes by two hundred at a time give a thousand codes.
func TestThousandTakes(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const takes, workers = 1000, 200
		_, err := h.UploadCodes(h.t.Context(), "upl_1", "r", &codesFrom{until: takes}, nil)
		require.NoError(h.t, err)
		c := h.customer("1")
		grants := make([]string, takes)
		h.do(func(tx *store.Tx) error {
			for i := range grants {
				g := newGrant(c.ID, "r", punchcard.GrantGiven)
				if grants[i] = g.ID; tx.AddGrant(g) != nil {
					return errCut
				}
			}
			return nil
		})
		taken := make([]string, takes)
		noErrors(h.t, together(workers, func(w int) error {
			for i := w; i < takes; i += workers {
				err := h.try(func(tx *store.Tx) (err error) {
					if taken[i], err = tx.TakeCode("r", grants[i]); err == nil && taken[i] == "" {
						return store.ErrTryAgain
					}
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		}))
		different := map[string]bool{}
		for _, code := range taken {
			different[code] = true
		}
		require.Len(h.t, different, takes)
		require.NotContains(h.t, different, "")
		free, err := h.view().FreeCodes("r")
		require.NoError(h.t, err)
		require.Zero(h.t, free)
	})
}
