package devserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// Times are real time: they are about processes.
const (
	serveWithin = 30 * time.Second // how long a server may take until it serves
	stopWithin  = 10 * time.Second // how long a server may take to close its file before it is killed
	lookEvery   = 50 * time.Millisecond
)

// host is the only address that the server is bound to.
const host = "127.0.0.1"

// Options say how the server runs.
type Options struct {
	Path   string // of the temporal CLI, as Find gives it
	Port   int    // for workers and clients; 0: a free one
	UIPort int    // for Temporal's pages; 0: a free one
	// DBFile keeps workflows over restarts. Beside it, at DBFile.pid, stands which process has it.
	DBFile  string
	LogFile string // what the server says is appended here; empty: it is dropped
	// LogLevel is debug, info, warn, error or never; empty: warn.
	LogLevel  string
	Namespace string // created when it is not there; empty: default
	// SearchAttributes are registered when they are not there: names and types, as in Customer: Keyword.
	SearchAttributes map[string]string
}

// Server is a Temporal server beside us.
type Server struct {
	options Options
	process *os.Process
	gone    chan struct{} // closed when the process has exited and was waited for
	exit    error         // how, once gone is closed
	done    chan error

	mu       sync.Mutex
	stopping bool
}

// Start starts a server and returns when it serves. What a killed run of ours left behind on the same file is stopped first. An error is
// a sentence for whoever ran the command: a port is taken, another run has the file, the server died and its last words.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.DBFile == "" {
		return nil, errors.New("the Temporal server needs a file to keep workflows in")
	}
	var err error
	if o.DBFile, err = filepath.Abs(o.DBFile); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(o.DBFile), 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of the Temporal server's file: %w", err)
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.LogLevel == "" {
		o.LogLevel = "warn"
	}
	if err := takeOver(o.DBFile); err != nil {
		return nil, err
	}
	if o.Port, err = freePort(ctx, o.Port, "--temporal-port"); err != nil {
		return nil, err
	}
	if o.UIPort, err = freePort(ctx, o.UIPort, "--ui-port"); err != nil {
		return nil, err
	}
	s := &Server{options: o, gone: make(chan struct{}), done: make(chan error, 1)}
	if err := s.spawn(); err != nil {
		return nil, err
	}
	if err := writeRecord(o.DBFile, s.process.Pid); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := s.serves(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Address is where workers and clients connect: host:port.
func (s *Server) Address() string { return net.JoinHostPort(host, strconv.Itoa(s.options.Port)) }

// UI is the address of Temporal's pages, without a slash at its end.
func (s *Server) UI() string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(s.options.UIPort))
}

// Done gives an error when the server dies by itself, with its last words. It is closed when the server is gone, whatever the reason.
func (s *Server) Done() <-chan error { return s.done }

// Stop ends the server and returns when its file is free: it is asked, and after ten seconds it is killed. Stopping twice does nothing more.
func (s *Server) Stop() error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	if err := end(s.process, s.gone); err != nil {
		return fmt.Errorf("stop the Temporal server: %w", err)
	}
	return removeRecord(s.options.DBFile)
}

// spawn starts the process and watches it.
func (s *Server) spawn() error {
	o := s.options
	args := []string{
		"server", "start-dev", "--ip", host, "--port", strconv.Itoa(o.Port), "--ui-ip", host, "--ui-port", strconv.Itoa(o.UIPort),
		"--db-filename", o.DBFile, "--namespace", o.Namespace, "--log-level", o.LogLevel,
		// It would ask the internet whether there is a newer version.
		"--dynamic-config-value", "frontend.enableServerVersionCheck=false",
	}
	for _, name := range slices.Sorted(maps.Keys(o.SearchAttributes)) {
		args = append(args, "--search-attribute", name+"="+o.SearchAttributes[name])
	}
	// The context of Start ends with Start, and the server does not: Stop ends it.
	cmd := exec.Command(o.Path, args...) //nolint:noctx // see above
	cmd.SysProcAttr = apart()
	var log io.Closer
	if o.LogFile != "" {
		if err := os.MkdirAll(filepath.Dir(o.LogFile), 0o750); err != nil {
			return fmt.Errorf("make the folder of the Temporal server's log: %w", err)
		}
		f, err := os.OpenFile(o.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open the Temporal server's log: %w", err)
		}
		cmd.Stdout, cmd.Stderr, log = f, f, f
	}
	started := make(chan error)
	go func() {
		// Linux takes a child down when the thread that made it ends: this one lives as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			s.exited(cmd.Wait())
		}
		if log != nil {
			_ = log.Close()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start the Temporal server: %w", err)
	}
	return nil
}

// exited tells that the process is gone.
func (s *Server) exited(err error) {
	s.mu.Lock()
	asked := s.stopping
	s.mu.Unlock()
	s.exit = err
	close(s.gone)
	if !asked {
		s.done <- s.died()
	}
	close(s.done)
}

// died is the error of a server that is gone without being asked.
func (s *Server) died() error {
	how := "it exited"
	if s.exit != nil {
		how = s.exit.Error()
	}
	if words := s.lastWords(); words != "" {
		return fmt.Errorf("the Temporal server died (%s); its last words: %s", how, words)
	}
	return fmt.Errorf("the Temporal server died (%s)", how)
}

// lastWords are the last lines of the log.
func (s *Server) lastWords() string {
	f, err := os.Open(s.options.LogFile)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	const enough = 4096
	if info, err := f.Stat(); err == nil && info.Size() > enough {
		_, _ = f.Seek(-enough, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	return lastLines(string(text), 3)
}

// serves waits until the server answers for the namespace.
func (s *Server) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serveWithin)
	defer cancel()
	c, err := client.NewLazyClient(client.Options{HostPort: s.Address(), Namespace: s.options.Namespace, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		_, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.options.Namespace})
		if err == nil {
			return nil
		}
		select {
		case <-s.gone:
			return s.died()
		case <-ctx.Done():
			return fmt.Errorf("the Temporal server does not serve on %s: %w; its last words: %s", s.Address(), err, s.lastWords())
		case <-time.After(lookEvery):
		}
	}
}

// end asks a process to stop, and kills it when it does not within stopWithin. It returns when gone is closed.
func end(process *os.Process, gone <-chan struct{}) error {
	if err := ask(process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-gone:
		return nil
	case <-time.After(stopWithin):
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-gone
	return nil
}

// freePort is the port itself when nothing listens there, or a free one for 0. The error names the flag that changes it.
func freePort(ctx context.Context, port int, flag string) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("port %d is taken by another program: stop that, or choose another port with %s", port, flag)
	}
	defer func() { _ = l.Close() }()
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}
