//go:build unix && !linux

package devserver

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// apart puts the server in a process group of its own, so that a Ctrl-C for us is ours to pass on.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ask asks a process to end.
func ask(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// began is when a process began, to the second.
func began(pid int) (string, error) { return ps(pid, "lstart=") }

// commandLine is a process's command and its arguments.
func commandLine(pid int) (string, error) { return ps(pid, "command=") }

func ps(pid int, column string) (string, error) {
	text, err := exec.Command("ps", "-ww", "-o", column, "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	if s := strings.TrimSpace(string(text)); s != "" {
		return s, nil
	}
	return "", errors.New("no such process")
}
