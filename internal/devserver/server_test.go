package devserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/stretchr/testify/require"
)

// helperFile, in the environment, makes this test binary a run that starts a server on that file and is then killed.
const helperFile = "PUNCHCARD_TEST_DEVSERVER_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(helperFile); file != "" {
		help(file)
		return
	}
	os.Exit(m.Run())
}

func help(file string) {
	path, err := temporalPath()
	if err != nil {
		panic(err)
	}
	s, err := Start(context.Background(), Options{Path: path, DBFile: file})
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, s.process.Pid, s.Address())
	select {}
}

// temporalPath finds the temporal CLI.
func temporalPath() (string, error) {
	if path := os.Getenv("PUNCHCARD_TEMPORAL"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	path, err := filepath.Abs("../../bin/temporal")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("the temporal CLI is neither in PUNCHCARD_TEMPORAL, nor on PATH, nor in bin: run `make tools`")
	}
	return path, nil
}

// options are a server of the test's own.
func options(t *testing.T) Options {
	t.Helper()
	path, err := temporalPath()
	require.NoError(t, err)
	dir := t.TempDir()
	return Options{
		Path: path, DBFile: filepath.Join(dir, "temporal.db"), LogFile: filepath.Join(dir, "logs", "temporal.log"),
		Namespace: "punchcard", SearchAttributes: map[string]string{"Customer": "Keyword", "Version": "Int"},
	}
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func connect(t *testing.T, s *Server) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{HostPort: s.Address(), Namespace: "punchcard", Logger: quiet{}})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestWorkflowsOutliveARestart(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := start(t, o)
	_, err := connect(t, s).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "opt-in/run_1", TaskQueue: "journeys"}, "opt-in")
	require.NoError(t, err)
	require.FileExists(t, recordFile(o.DBFile))
	require.NoError(t, s.Stop())
	require.NoError(t, s.Stop())
	require.NoFileExists(t, recordFile(o.DBFile))
	err, died := <-s.Done()
	require.False(t, died, "it was asked to stop, and says %v", err)

	again := start(t, o) // at once: the file is free
	d, err := connect(t, again).DescribeWorkflow(t.Context(), "opt-in/run_1", "")
	require.NoError(t, err)
	require.Equal(t, "opt-in", d.WorkflowType.Name)
}

func TestServesPagesOnThisMachineOnly(t *testing.T) {
	t.Parallel()
	s := start(t, options(t))
	require.True(t, strings.HasPrefix(s.Address(), "127.0.0.1:"))
	for _, port := range []int{s.options.Port, s.options.UIPort} {
		for _, address := range machineAddresses(t) {
			c, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(port)), time.Second)
			require.Error(t, err, "reachable at %s", address)
			require.Nil(t, c)
		}
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(s.UI(), "http://"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// machineAddresses are this machine's addresses to others.
func machineAddresses(t *testing.T) (found []string) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLoopback() && ip.To4() != nil {
			found = append(found, ip.String())
		}
	}
	return found
}

func TestWhatAKilledRunLeftBehindIsTakenOver(t *testing.T) {
	t.Parallel()
	o := options(t)
	left := start(t, o)
	// Its owner is no more, and nothing took it down.
	text := fmt.Sprintf(`{"server":{"pid":%d,"began":%q},"owner":{"pid":%d,"began":"long ago"}}`, left.process.Pid, mustBegan(t, left.process.Pid), os.Getpid())
	require.NoError(t, os.WriteFile(recordFile(o.DBFile), []byte(text), 0o600))

	o.Port, o.UIPort = left.options.Port, left.options.UIPort
	s := start(t, o)
	require.Equal(t, left.Address(), s.Address())
	require.ErrorContains(t, <-left.Done(), "died")
}

func mustBegan(t *testing.T, pid int) string {
	t.Helper()
	b, err := began(pid)
	require.NoError(t, err)
	return b
}

func TestARunThatIsAliveIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := options(t)
	s := start(t, o)
	_, err := Start(t.Context(), o)
	require.EqualError(t, err, fmt.Sprintf("another run (process %d) has %s: stop that one first", os.Getpid(), o.DBFile))
	connect(t, s) // it still serves
}

func TestAnotherProcessWithTheNumberIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := options(t)
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	for _, began := range []string{"long ago", mustBegan(t, other.Process.Pid)} {
		text := fmt.Sprintf(`{"server":{"pid":%d,"began":%q},"owner":{"pid":1,"began":"long ago"}}`, other.Process.Pid, began)
		require.NoError(t, os.WriteFile(recordFile(o.DBFile), []byte(text), 0o600))
		require.NoError(t, takeOver(o.DBFile))
		require.NoFileExists(t, recordFile(o.DBFile))
		require.NoError(t, other.Process.Signal(syscall.Signal(0)))
	}
	require.NoError(t, os.WriteFile(recordFile(o.DBFile), []byte("half a rec"), 0o600))
	require.NoError(t, takeOver(o.DBFile))
}

func TestTakenPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port

	o := options(t)
	o.Port = port
	_, err = Start(t.Context(), o)
	require.EqualError(t, err, fmt.Sprintf("port %d is taken by another program: stop that, or choose another port with --temporal-port", port))

	o.Port, o.UIPort = 0, port
	_, err = Start(t.Context(), o)
	require.ErrorContains(t, err, "--ui-port")
}

func TestAServerThatDies(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.LogLevel = "never" // what it may happen to say while it starts would be its last words
	s := start(t, o)
	require.NoError(t, s.process.Kill())
	require.EqualError(t, <-s.Done(), "the Temporal server died (signal: killed)")
	_, more := <-s.Done()
	require.False(t, more)
}

func TestAServerThatCannotStart(t *testing.T) {
	t.Parallel()
	o := options(t)
	require.NoError(t, os.WriteFile(o.DBFile, []byte(strings.Repeat("this is no database\n", 100)), 0o600))
	_, err := Start(t.Context(), o)
	require.ErrorContains(t, err, "the Temporal server died")
	require.ErrorContains(t, err, "not a database")

	o = options(t)
	o.Path = filepath.Join(t.TempDir(), "temporal")
	_, err = Start(t.Context(), o)
	require.ErrorContains(t, err, "start the Temporal server")
	_, err = Start(t.Context(), Options{})
	require.ErrorContains(t, err, "needs a file")
}

// A run that is killed takes its server with it, and the next one starts on the same file.
func TestAKilledRunTakesItsServerDown(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux does this; elsewhere the next run takes over what is left")
	}
	o := options(t)
	helper := exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), helperFile+"="+o.DBFile)
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	var pid int
	var address string
	_, err = fmt.Sscan(line, &pid, &address)
	require.NoError(t, err)
	server := identity{PID: pid, Began: mustBegan(t, pid)}
	require.True(t, server.alive())

	require.NoError(t, helper.Process.Kill())
	_ = helper.Wait() // it says that it was killed
	start(t, o)       // at once: it waits for the server to be gone
	require.False(t, server.alive())
}
