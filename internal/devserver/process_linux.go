package devserver

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// apart puts the server in a process group of its own, so that a Ctrl-C for us is ours to pass on, and has the kernel stop it
// when we are killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// ask asks a process to end.
func ask(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// began is when a process began, in clock ticks since the machine did. A process that is dead and not yet waited for has not
// begun: it holds nothing any more.
func began(pid int) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The second field is the command in parentheses, which may hold anything; the third is the state, the 22nd the time.
	stat := string(text)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0] == "Z" {
		return "", errors.New("no such process")
	}
	return fields[19], nil
}

// commandLine is a process's command and its arguments.
func commandLine(pid int) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return strings.ReplaceAll(string(text), "\x00", " "), err
}
