package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Times are real. They are generous, since a machine that tests may do much else, and cost nothing where all is well.
const (
	readyWait = 60 * time.Second // for a process and its Temporal server to be up
	soon      = 30 * time.Second // for what is to happen at once
	stopWait  = 10 * time.Second // for a process that is told to stop
	lookEvery = 50 * time.Millisecond
)

// until waits for all that check requires.
func until(t *testing.T, within time.Duration, check func(c *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, check, within, lookEvery)
}

// output is what a process says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a punchcard of its own.
type process struct {
	cmd    *exec.Cmd
	name   string
	stdout *output
	stderr *output
	exited chan struct{}
}

// spawn starts punchcard with these arguments. What it says is shown when the test fails.
func spawn(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{cmd: exec.Command(self, args...), name: args[0], stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	p.cmd.Env = append(ownEnvironment(t), env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = p.stdout, p.stderr, 5*time.Second
	// Held open for as long as this test binary lives.
	_, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		// Asked first: a killed one leaves its Temporal server to end a little later than the test's folder.
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(stopWait):
			p.kill()
		}
		if t.Failed() {
			t.Logf("%s said:\n%s%s", strings.Join(args, " "), p.stdout, p.stderr)
		}
	})
	return p
}

// ownEnvironment is the environment without what would be taken for flags, and with the temporal CLI on PATH.
func ownEnvironment(t *testing.T) []string {
	t.Helper()
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "PUNCHCARD_") || strings.HasPrefix(kv, "PATH=")
	})
	return append(env, envProcess+"=1", "PATH="+temporalFolder(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// temporalFolder is a folder with the temporal CLI in it.
var temporalFolder = func() func(t *testing.T) string {
	find := sync.OnceValues(func() (string, error) {
		path := os.Getenv("PUNCHCARD_TEMPORAL")
		if path == "" {
			path, _ = exec.LookPath("temporal")
		}
		if path == "" {
			path = "../../bin/temporal"
		}
		if _, err := os.Stat(path); err != nil {
			return "", errors.New("the temporal CLI is neither in PUNCHCARD_TEMPORAL, nor on PATH, nor in bin: run `make tools`")
		}
		return filepath.Abs(filepath.Dir(path))
	})
	return func(t *testing.T) string {
		t.Helper()
		dir, err := find()
		require.NoError(t, err)
		return dir
	}
}()

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// wait is the process's exit code.
func (p *process) wait(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s; it said:\n%s%s", p.name, within, p.stdout, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop tells the process to stop, as a service manager would, and demands that it does so, cleanly and soon.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.wait(t, stopWait), "the exit code of %s, which said:\n%s", p.name, p.stderr)
}

// command runs punchcard to its end.
func command(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := spawn(t, env, args...)
	code = p.wait(t, readyWait)
	return code, p.stdout.String(), p.stderr.String()
}

// freePorts are ports that nobody listens on. They lie below those that systems give to outgoing connections, so that they are
// still free when a process that was killed is started again.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range 1000 {
		port := 15_000 + rand.IntN(15_000)
		l, err := net.Listen("tcp", loopback(port))
		if err != nil || slices.Contains(ports, port) {
			continue
		}
		require.NoError(t, l.Close())
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("there are no free ports")
	return nil
}

// devShop is a `punchcard dev` with a data folder and ports of its own, and the shop that it serves.
type devShop struct {
	*shop

	t                           *testing.T
	data                        string
	speed                       float64
	port, phone, temporal, page int
	process                     *process
}

// openShop makes a data folder and starts `punchcard dev` on it.
func openShop(t *testing.T, speed float64) *devShop {
	t.Helper()
	ports := freePorts(t, 4)
	d := &devShop{
		t: t, data: filepath.Join(t.TempDir(), "data"), speed: speed, port: ports[0], phone: ports[1], temporal: ports[2], page: ports[3],
		shop: &shop{api: "http://" + loopback(ports[0]), phone: "http://" + loopback(ports[1]), key: "dev"},
	}
	d.start()
	return d
}

// flags are what the shop is started with.
func (d *devShop) flags() []string {
	flag := func(name string, port int) string { return "--" + name + "=" + strconv.Itoa(port) }
	return []string{
		"dev", flag("port", d.port), flag("phone-port", d.phone), flag("temporal-port", d.temporal), flag("ui-port", d.page), "--data=" + d.data,
	}
}

// start starts it, with the speed that the data has, and waits until all parts are up.
func (d *devShop) start(more ...string) {
	d.t.Helper()
	if len(more) == 0 {
		more = []string{fmt.Sprintf("--speed=%g", d.speed)}
	}
	p := spawn(d.t, nil, append(d.flags(), more...)...)
	d.process = p
	// Every test ends with a clean stop.
	d.t.Cleanup(func() {
		select {
		case <-p.exited:
		default:
			if !d.t.Failed() {
				d.stop()
			}
		}
	})
	d.ready(d.t, p)
}

// kill ends it with SIGKILL.
func (d *devShop) kill() { d.process.kill() }

// killAll ends it and its Temporal server with SIGKILL, the server first: neither can say goodbye to the other.
func (d *devShop) killAll() {
	d.t.Helper()
	server, err := os.FindProcess(d.temporalPID())
	require.NoError(d.t, err)
	require.NoError(d.t, server.Kill())
	d.kill()
}

// temporalPID is the number of the process of the Temporal server.
func (d *devShop) temporalPID() int {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.data, fileTemporal+".pid"))
	require.NoError(d.t, err)
	var record struct {
		Server struct {
			PID int `json:"pid"`
		} `json:"server"`
	}
	require.NoError(d.t, json.Unmarshal(text, &record))
	require.Positive(d.t, record.Server.PID)
	return record.Server.PID
}

// stop tells it to stop, and demands that it leaves no process behind.
func (d *devShop) stop() {
	d.t.Helper()
	server := d.temporalPID()
	d.process.stop(d.t)
	require.Error(d.t, syscall.Kill(server, 0), "the Temporal server is still there")
	for _, port := range []int{d.port, d.phone, d.temporal, d.page} {
		l, err := net.Listen("tcp", loopback(port))
		require.NoError(d.t, err, "a port is still in use")
		require.NoError(d.t, l.Close())
	}
}

// shop is a running Punchcard as those outside see it: backends, tills and customers.
type shop struct {
	api   string // address of the API
	phone string // address of the phones
	key   string
}

// answer is what came back.
type answer struct {
	Status int
	Type   string
	Body   string
}

// problem reads a refusal, and demands that it is one as all are.
func (a answer) problem(t require.TestingT) (p struct {
	Status               int
	Title, Detail, Code  string
	Reason, Field, RunID string
}) {
	require.Equal(t, "application/problem+json", a.Type, a.Body)
	require.NoError(t, json.Unmarshal([]byte(a.Body), &p), a.Body)
	require.Equal(t, a.Status, p.Status, a.Body)
	require.NotEmpty(t, p.Title, a.Body)
	require.NotEmpty(t, p.Detail, a.Body)
	require.NotEmpty(t, p.Code, a.Body)
	return p
}

// caller gives up on an answer after half a minute: the database may be away for a while.
var caller = &http.Client{Timeout: 30 * time.Second}

// call makes a request. The error is the transport's: the process may just be gone.
func (s *shop) call(method, address string, body any, header ...string) (answer, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, address, content)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := caller.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header.Get("Content-Type"), string(text)}, err
}

// ready waits until all parts of the process are up.
func (s *shop) ready(t *testing.T, p *process) {
	t.Helper()
	until(t, readyWait, func(c *assert.CollectT) {
		select {
		case <-p.exited:
			return // it will not come up: what follows says so
		default:
		}
		a, err := s.call(http.MethodGet, s.api+"/readyz", nil)
		require.NoError(c, err)
		require.Equal(c, http.StatusOK, a.Status, a.Body)
	})
	select {
	case <-p.exited:
		t.Fatalf("%s ended with code %d; it said:\n%s%s", p.name, p.cmd.ProcessState.ExitCode(), p.stdout, p.stderr)
	default:
	}
}

func (s *shop) get(t require.TestingT, path string, into any) {
	a, err := s.call(http.MethodGet, s.api+path, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	require.NoError(t, json.Unmarshal([]byte(a.Body), into), a.Body)
}

func (s *shop) post(t require.TestingT, path string, body any) answer {
	a, err := s.call(http.MethodPost, s.api+path, body)
	require.NoError(t, err)
	return a
}

// object is JSON.
type object = map[string]any

// event is a fact about whoever has a phone.
func event(id, name, phone string, properties object) object {
	return object{"id": id, "name": name, "customer": object{"phone": phone}, "properties": properties}
}

// send sends events, all of which must be new and sound.
func (s *shop) send(t require.TestingT, events ...object) {
	a := s.post(t, "/v1/events", object{"events": events})
	require.Equal(t, http.StatusAccepted, a.Status, a.Body)
	require.JSONEq(t, fmt.Sprintf(`{"accepted": %d, "duplicates": 0, "rejected": []}`, len(events)), a.Body)
}

// reviews are so many that a customer has written: 200 points each.
func reviews(phone string, n int) []object {
	var events []object
	for i := range n {
		id := fmt.Sprintf("review-%s-%d", strings.TrimPrefix(phone, "+"), i)
		events = append(events, event(id, "review.posted", phone, object{"review_id": "r-" + id}))
	}
	return events
}

// cart is a cart with something in it.
func cart(id, phone, cart string, total float64) object {
	return event(id, "cart.updated", phone, object{
		"cart_id": cart, "total": total, "items": []object{{"name": "Ethiopia Yirgacheffe", "price": 12.5}},
	})
}

func order(id, phone string, more object) object {
	properties := object{"order_id": "number-of-" + id, "total": 20}
	maps.Copy(properties, more)
	return event(id, "order.placed", phone, properties)
}

// customerView is a customer as the API shows them; so are the types after it.
type customerView struct {
	ID, Name, Tier string
	Points         pointsView
	Consents       map[string]string
}

type pointsView struct {
	Balance, Pending, Held, Earned int64
	Items                          []ledgerView
}

type ledgerView struct {
	Kind, From, To, Ref string
	Points              int64
}

type runView struct {
	ID, Journey, Status, Step, Outcome, Reason, Key string
	Goal                                            bool
	Value                                           float64
	Version                                         int
	WorkflowID                                      string    `json:"workflow_id"`
	TemporalURL                                     string    `json:"temporal_url"`
	CustomerID                                      string    `json:"customer_id"`
	StartedAt                                       time.Time `json:"started_at"`
	EndedAt                                         time.Time `json:"ended_at"`
	Story                                           []struct{ Label, Outcome string }
}

type messageView struct {
	ID, Direction, Template, Text, Status, Reason, Wamid string
	RunID                                                string    `json:"run_id"`
	CreatedAt                                            time.Time `json:"created_at"`
}

type consentView struct {
	Topic, Standing, Source, Wording string
	MessageID                        string `json:"message_id"`
	ReplyID                          string `json:"reply_id"`
	RunID                            string `json:"run_id"`
}

type grantView struct {
	ID, Reward, Status, Code string
}

// bubble is a message on a phone. Direction is the business's: out is what the customer got.
type bubble struct {
	ID, Direction, Template, Text, Status string
	At                                    time.Time
}

func list[T any](t require.TestingT, s *shop, path string) []T {
	var all []T
	for after := ""; ; {
		var page struct {
			Items []T
			Next  *string
		}
		s.get(t, path+"?limit=200&after="+url.QueryEscape(after), &page)
		all = append(all, page.Items...)
		if page.Next == nil {
			return all
		}
		after = *page.Next
	}
}

func (s *shop) of(phone string) string { return "/v1/customers/" + url.PathEscape("phone:"+phone) }

func (s *shop) customer(t require.TestingT, phone string) (c customerView) {
	s.get(t, s.of(phone), &c)
	return c
}

func (s *shop) points(t require.TestingT, phone string) (p pointsView) {
	s.get(t, s.of(phone)+"/points?limit=200", &p)
	return p
}

func (s *shop) runs(t require.TestingT, phone string) []runView {
	return list[runView](t, s, s.of(phone)+"/runs")
}

// runsOf are a customer's runs of one journey, newest first.
func (s *shop) runsOf(t require.TestingT, phone, journey string) []runView {
	return slices.DeleteFunc(s.runs(t, phone), func(r runView) bool { return r.Journey != journey })
}

// run is a customer's only run of a journey.
func (s *shop) run(t require.TestingT, phone, journey string) runView {
	runs := s.runsOf(t, phone, journey)
	require.Len(t, runs, 1, "runs of %s", journey)
	return runs[0]
}

func (s *shop) messages(t require.TestingT, phone string) []messageView {
	return list[messageView](t, s, s.of(phone)+"/messages")
}

// chat is what a phone shows.
func (s *shop) chat(t require.TestingT, phone string) []bubble {
	a, err := s.call(http.MethodGet, s.phone+"/people/"+phone+"/messages", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	var c struct{ Items []bubble }
	require.NoError(t, json.Unmarshal([]byte(a.Body), &c))
	return c.Items
}

// got is what a phone got, in order: names of templates, and the text of what is none.
func (s *shop) got(t require.TestingT, phone string) []string {
	words := []string{}
	for _, b := range s.chat(t, phone) {
		switch {
		case b.Direction != "out":
		case b.Template != "":
			words = append(words, b.Template)
		default:
			words = append(words, b.Text)
		}
	}
	return words
}

// received waits for a template on a phone, and demands that it comes once.
func (s *shop) received(t *testing.T, within time.Duration, phone, template string) (b bubble) {
	t.Helper()
	until(t, within, func(c *assert.CollectT) {
		all := slices.DeleteFunc(s.chat(c, phone), func(b bubble) bool { return b.Template != template })
		require.Len(c, all, 1, "%s on %s", template, phone)
		b = all[0]
	})
	return b
}

// says makes a customer write, and answers the message's id at WhatsApp.
func (s *shop) says(t require.TestingT, phone, text string) string {
	a, err := s.call(http.MethodPost, s.phone+"/people/"+phone+"/messages", object{"text": text})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.Status, a.Body)
	var b bubble
	require.NoError(t, json.Unmarshal([]byte(a.Body), &b))
	return b.ID
}

// registration is what a sign-up form sends.
func registration(id, phone string) object {
	e := event(id, "registration.received", phone, object{"source": "web"})
	e["customer"] = object{"phone": phone, "language": "en"}
	return e
}

// join lets customers register and say yes, and waits until each is in.
func (s *shop) join(t *testing.T, phones ...string) {
	t.Helper()
	for _, p := range phones {
		s.send(t, registration("registration-"+strings.TrimPrefix(p, "+"), p))
	}
	for _, p := range phones {
		s.received(t, soon, p, "opt_in_request")
		s.says(t, p, "yes")
	}
	for _, p := range phones {
		s.received(t, soon, p, "opt_in_welcome")
		s.ended(t, soon, p, "opt-in", "subscribed")
	}
}

// ended waits until a customer's only run of a journey has ended so.
func (s *shop) ended(t *testing.T, within time.Duration, phone, journey, outcome string) (r runView) {
	t.Helper()
	until(t, within, func(c *assert.CollectT) {
		r = s.run(c, phone, journey)
		require.Equal(c, outcome, r.Outcome)
		require.Equal(c, "ended", r.Status)
	})
	return r
}

// phoneNumber is the nth of the customers' numbers.
func phoneNumber(n int) string { return fmt.Sprintf("+452%07d", 4_100_000+n) }

// background is for what outlives a test's own context: its cleanup.
var background = context.Background()
