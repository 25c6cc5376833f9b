package simulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journal is a file of facts, a JSON object a line. A line is whole when its newline is there: it is written in one
// piece with it, so a process killed in the middle leaves at most one line without.
type journal struct {
	file *os.File
	size int64 // of the whole lines
}

// openJournal reads every fact of the file, in order, and opens it for more. What a kill left of a last line is cut off:
// it was never answered.
func openJournal(path string, each func(fact)) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	// 0600: it holds phone numbers and what people wrote.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	j := &journal{file: file}
	r := bufio.NewReaderSize(file, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var f fact
		if err == nil {
			err = json.Unmarshal(line, &f)
		}
		if err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("simulator: %s: line %d cannot be read: %w", path, n, err)
		}
		each(f)
		j.size += int64(len(line))
	}
	if err = file.Truncate(j.size); err == nil {
		_, err = file.Seek(j.size, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("simulator: %w", err)
	}
	return j, nil
}

// append adds a line. After an error the file is as it was.
func (j *journal) append(line []byte) error {
	n, err := j.file.Write(append(line, '\n'))
	if err != nil {
		// A disk that is full has taken a part of the line, and the next one must not be glued to it.
		_ = j.file.Truncate(j.size)
		_, _ = j.file.Seek(j.size, io.SeekStart)
		return fmt.Errorf("simulator: %w", err)
	}
	j.size += int64(n)
	return nil
}

func (j *journal) close() error { return j.file.Close() }
