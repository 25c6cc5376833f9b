package devserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// record says, beside a server's file, which process has it and for whom.
type record struct {
	Server identity `json:"server"`
	Owner  identity `json:"owner"` // the process of ours that started it
}

// identity is a process: its number, and when it began, in the system's own words, because numbers are used again.
type identity struct {
	PID   int    `json:"pid"`
	Began string `json:"began"`
}

// alive tells whether this very process still runs.
func (i identity) alive() bool {
	if i.PID <= 0 {
		return false
	}
	began, err := began(i.PID)
	return err == nil && began == i.Began
}

func recordFile(dbFile string) string { return dbFile + ".pid" }

func writeRecord(dbFile string, pid int) error {
	r := record{Server: identity{PID: pid}, Owner: identity{PID: os.Getpid()}}
	var err error
	if r.Server.Began, err = began(pid); err != nil {
		return fmt.Errorf("note which process has %s: %w", dbFile, err)
	}
	if r.Owner.Began, err = began(os.Getpid()); err != nil {
		return fmt.Errorf("note which process has %s: %w", dbFile, err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	// Written beside and renamed: half a record would be none.
	draft := recordFile(dbFile) + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return err
	}
	return os.Rename(draft, recordFile(dbFile))
}

func removeRecord(dbFile string) error {
	if err := os.Remove(recordFile(dbFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// takeOver stops the server that a killed run of ours left behind with a file. It returns an error when another run is alive
// on it. A process that only has the number of the one in the record is left alone.
func takeOver(dbFile string) error {
	text, err := os.ReadFile(recordFile(dbFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil || !r.Server.alive() {
		return removeRecord(dbFile) // nobody is left
	}
	if command, err := commandLine(r.Server.PID); err != nil || !strings.Contains(command, dbFile) {
		return removeRecord(dbFile)
	}
	if r.Owner.alive() {
		return fmt.Errorf("another run (process %d) has %s: stop that one first", r.Owner.PID, dbFile)
	}
	process, err := os.FindProcess(r.Server.PID)
	if err != nil {
		return removeRecord(dbFile)
	}
	gone, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for r.Server.alive() {
			select {
			case <-stop:
				return
			case <-time.After(lookEvery):
			}
		}
	}()
	// It is not our child, so it cannot be waited for: one that outlives being killed is a matter for people.
	killed := time.AfterFunc(stopWithin+time.Second, func() { close(stop) })
	defer killed.Stop()
	if err := end(process, gone); err != nil {
		return fmt.Errorf("stop the Temporal server that an earlier run left behind (process %d): %w", r.Server.PID, err)
	}
	if r.Server.alive() {
		return fmt.Errorf("the Temporal server that an earlier run left behind (process %d) does not end: end it by hand", r.Server.PID)
	}
	return removeRecord(dbFile)
}
