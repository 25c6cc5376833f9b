package simulator

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// childJournal names the journal of the process that TestKillProcess kills.
const childJournal = "PUNCHCARD_TEST_SIMULATOR_JOURNAL"

// TestMain is the test, or the process to kill.
func TestMain(m *testing.M) {
	path := os.Getenv(childJournal)
	if path == "" {
		os.Exit(m.Run())
	}
	sim, err := New(Options{DataFile: path, AppSecret: secret, PhoneNumberID: "301", AccountID: "201", BusinessPhone: "+4533112233"})
	if err != nil {
		panic(err)
	}
	fmt.Println(httptest.NewServer(sim.Handler()).URL)
	select {}
}

// A process that is killed while people write has lost nothing that it answered, and its webhooks go out after.
func TestKillProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	program, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), childJournal+"="+path)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	address, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)

	const writers = 4
	answered := make(chan string, 10_000)
	ended := make(chan struct{}, writers)
	for writer := range writers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d/%d", writer, i)
				res, err := http.Post(fmt.Sprintf("%s/people/+452000000%d/messages", strings.TrimSpace(address), writer),
					"application/json", strings.NewReader(`{"text":"`+text+`"}`))
				if err != nil {
					return // killed
				}
				_ = res.Body.Close()
				if res.StatusCode == http.StatusCreated {
					answered <- text
				}
			}
		}()
	}
	told := map[string]bool{}
	for range 100 {
		told[<-answered] = true
	}
	require.NoError(t, child.Process.Kill())
	for range writers {
		<-ended
	}
	_ = child.Wait() // killed
	close(answered)
	for text := range answered {
		told[text] = true
	}

	w := setup(t, func(o *Options) { o.DataFile = path })
	kept := map[string]bool{}
	for writer := range writers {
		for _, m := range w.chat(fmt.Sprintf("+452000000%d", writer)) {
			kept[m.Text] = true
		}
	}
	for text := range told {
		require.True(t, kept[text], "%s was answered", text)
	}
	heard := map[string]bool{}
	for range kept {
		heard[w.receiver.inbound(t).Text] = true
	}
	require.Equal(t, kept, heard)
}
