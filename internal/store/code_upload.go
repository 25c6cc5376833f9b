package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// CodeUpload is a file of codes that is being added to a pool, or was.
type CodeUpload struct {
	ID         string `gorm:"primaryKey"`
	Reward     string
	Status     UploadStatus
	Lines      int64 // with something on them that are done with: a resumed upload goes on after these
	Added      int64
	Duplicates int64         // that were there already, or came twice
	Invalid    int64         // that are no codes
	Problems   []CodeProblem `gorm:"serializer:json"` // the first MaxCodeProblems of them
	Digest     []byte        // of the lines that are done with
	CreatedAt  time.Time
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
}

// UploadStatus says how far an upload has come.
type UploadStatus string

// The statuses of an upload.
const (
	UploadOpen UploadStatus = "open"
	UploadDone UploadStatus = "done"
)

// CodeProblem is a line of an upload that added no code. It holds nothing of the code.
type CodeProblem struct {
	Line   int64  `json:"line"` // from 1
	Reason string `json:"reason"`
}

// The reasons of a CodeProblem.
const (
	ProblemDuplicate = "duplicate" // it was there already, or on an earlier line
	ProblemInvalid   = "invalid"   // it is no code
)

// MaxCodeProblems is how many problems an upload tells one by one; the rest are counted.
const MaxCodeProblems = 100

// CodeLines reads the codes of a file, each with its line; the error is io.EOF at the end.
type CodeLines interface {
	Next() (punchcard.CodeLine, error)
}

// ErrOtherFile says that an upload goes on with another file than it began with.
var ErrOtherFile = punchcard.Errorf(punchcard.CodeConflict, "this upload began with other codes: give this file an upload of its own").Because("other_file")

// UploadCodes adds the codes of a file to a reward's pool, in transactions of a few hundred, each of which also notes how far the
// upload has come. Whoever dies over it begins again with the same id and file, and goes on after the last line that was
// committed; an upload that is done answers what came of it. tell, when it is not nil, is called after each transaction.
//
// Memory is that of one transaction, whatever the file's size. The errors are ErrOtherFile, CodeConflict for an id that another
// reward has, and those of lines.
func (s *Store) UploadCodes(ctx context.Context, id, reward string, lines CodeLines, tell func(CodeUpload)) (*CodeUpload, error) {
	if s.codes == nil {
		return nil, errNoCodeKeys
	}
	u, err := s.beginUpload(ctx, id, reward)
	if err != nil {
		return nil, err
	}
	digest, err := s.codes.skip(u, lines)
	if err != nil || u.Status == UploadDone {
		return u, err
	}
	for batch := make([]punchcard.CodeLine, 0, codeBatch); ; batch = batch[:0] {
		if err := ctx.Err(); err != nil {
			return u, err
		}
		end := false
		for len(batch) < codeBatch && !end {
			line, err := lines.Next()
			if end = errors.Is(err, io.EOF); end {
				break
			}
			if err != nil {
				return u, err
			}
			batch = append(batch, line)
			digest = s.codes.digest(digest, line)
		}
		if u, err = s.uploadBatch(ctx, u, batch, end, digest); err != nil {
			return u, err
		}
		if tell != nil {
			tell(*u)
		}
		if end {
			return u, nil
		}
	}
}

// digest chains a line to those before it, under the key that codes are hashed with: what is kept tells nothing of the codes.
func (k *codeKeys) digest(before []byte, line punchcard.CodeLine) []byte {
	return keyed(k.lookup, fmt.Sprintf("%x:%d:%s", before, line.Number, line.Code))
}

func (s *Store) beginUpload(ctx context.Context, id, reward string) (u *CodeUpload, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		fresh := CodeUpload{ID: id, Reward: reward, Status: UploadOpen, Problems: []CodeProblem{}, Digest: []byte{}, CreatedAt: tx.Now, UpdatedAt: tx.Now}
		if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh).Error; err != nil {
			return err
		}
		u, err = tx.CodeUpload(id)
		return err
	})
	if err == nil && u.Reward != reward {
		return nil, punchcard.Errorf(punchcard.CodeConflict, "an upload for another reward has this id").Because("other_reward")
	}
	return u, err
}

// CodeUpload reads an upload, or nil.
func (tx *Tx) CodeUpload(id string) (*CodeUpload, error) {
	return one[CodeUpload](tx.db.Where("id = ?", id))
}

// skip reads the lines that are done with, and makes sure that they are those.
func (k *codeKeys) skip(u *CodeUpload, lines CodeLines) ([]byte, error) {
	digest := []byte{}
	for range u.Lines {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil, ErrOtherFile
		}
		if err != nil {
			return nil, err
		}
		digest = k.digest(digest, line)
	}
	if !bytes.Equal(digest, u.Digest) {
		return nil, ErrOtherFile
	}
	if u.Status == UploadDone {
		if _, err := lines.Next(); !errors.Is(err, io.EOF) {
			return nil, errors.Join(err, ErrOtherFile)
		}
	}
	return digest, nil
}

// uploadBatch adds one batch, and notes how far the upload is.
func (s *Store) uploadBatch(ctx context.Context, before *CodeUpload, batch []punchcard.CodeLine, end bool, digest []byte) (u *CodeUpload, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		next := *before
		next.Problems = append([]CodeProblem{}, before.Problems...)
		now, err := one[CodeUpload](tx.db.Clauses(lock).Where("id = ?", before.ID))
		if err != nil {
			return err
		}
		if now == nil || now.Lines != before.Lines || now.Status != UploadOpen {
			return punchcard.Errorf(punchcard.CodeConflict, "somebody else goes on with this upload").Because("in_progress")
		}
		if err := tx.addLines(&next, batch); err != nil {
			return err
		}
		next.Digest, next.UpdatedAt = digest, tx.Now
		if end {
			next.Status = UploadDone
		}
		u = &next
		return tx.db.Save(&next).Error
	})
	if err != nil {
		return before, err
	}
	return u, nil
}

func (tx *Tx) addLines(u *CodeUpload, batch []punchcard.CodeLine) error {
	k, err := tx.codeKeys()
	if err != nil {
		return err
	}
	problem := func(line int64, reason string) {
		if len(u.Problems) < MaxCodeProblems {
			u.Problems = append(u.Problems, CodeProblem{line, reason})
		}
	}
	rows, first := make([]rewardCode, 0, len(batch)), map[string]bool{}
	reasons := make([]string, len(batch))
	at := make([]string, len(batch)) // the hash on each line
	for i, line := range batch {
		code := punchcard.NormalizeCode(line.Code)
		if !punchcard.IsCode(code) {
			reasons[i] = ProblemInvalid
			continue
		}
		row := k.row(code, u.Reward, nil)
		if at[i] = string(row.Hash); first[at[i]] {
			reasons[i] = ProblemDuplicate
			continue
		}
		first[at[i]] = true
		rows = append(rows, row)
	}
	added, err := tx.insertCodes(rows)
	if err != nil {
		return err
	}
	for i, line := range batch {
		u.Lines++
		if reasons[i] == "" && !added[at[i]] {
			reasons[i] = ProblemDuplicate
		}
		switch reasons[i] {
		case ProblemInvalid:
			u.Invalid++
			problem(line.Number, ProblemInvalid)
		case ProblemDuplicate:
			u.Duplicates++
			problem(line.Number, ProblemDuplicate)
		default:
			u.Added++
		}
	}
	return nil
}

// insertCodes adds free codes in one statement and answers the hashes of those that were new.
func (tx *Tx) insertCodes(rows []rewardCode) (map[string]bool, error) {
	added := make(map[string]bool, len(rows))
	if len(rows) == 0 {
		return added, nil
	}
	args := make([]any, 0, 5*len(rows))
	for _, r := range rows {
		args = append(args, r.Reward, r.Hash, r.KeyID, r.Sealed, tx.Now)
	}
	statement := "INSERT INTO reward_codes (reward, hash, key_id, sealed, created_at) VALUES " +
		strings.Repeat("(?, ?, ?, ?, ?), ", len(rows)-1) + "(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING hash"
	result, err := tx.db.Raw(statement, args...).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	for result.Next() {
		var h []byte
		if err := result.Scan(&h); err != nil {
			return nil, err
		}
		added[string(h)] = true
	}
	return added, result.Err()
}
