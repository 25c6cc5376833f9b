package devserver

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

// apart puts the server in a process group of its own, so that a Ctrl-C for us is ours to pass on.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// ask ends a process: Windows has no way to ask.
func ask(p *os.Process) error { return p.Kill() }

// began is when a process began, in 100 ns since 1601.
func began(pid int) (string, error) {
	h, err := syscall.OpenProcess(syscall.PROCESS_QUERY_INFORMATION, false, uint32(pid)) //nolint:gosec // process ids fit
	if err != nil {
		return "", err
	}
	defer func() { _ = syscall.CloseHandle(h) }()
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return "", err
	}
	return strconv.FormatInt(created.Nanoseconds(), 10), nil
}

// commandLine is not to be had here without more than it is worth: a server that was left behind is not recognised, and its port is
// reported as taken.
func commandLine(int) (string, error) { return "", errors.New("unknown on Windows") }
