package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"punchcard/programs"
)

// issuer is another system that issues codes. It fails as often as it is told to, and answers a grant always the same.
type issuer struct {
	mu    sync.Mutex
	ids   []string
	fails int
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id := r.Header.Get("Webhook-Id")
	i.ids = append(i.ids, id)
	if i.fails > 0 {
		i.fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"code": codeFor(id)})
}

func codeFor(grant string) string { return "FILM" + strings.ToUpper(grant[len(grant)-10:]) }

// failing has the next n requests fail, and forgets those that came.
func (i *issuer) failing(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fails, i.ids = n, nil
}

func (i *issuer) asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.ids...)
}

// openCinema is a shop whose film tickets have codes that another system issues.
func openCinema(t *testing.T, url string) *devShop {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.CopyFS(dir, programs.Coffee()))
	add := func(name, text string) {
		path := filepath.Join(dir, name)
		before, err := os.ReadFile(path)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
		}
		require.NoError(t, os.WriteFile(path, append(before, text...), 0o600))
	}
	add("program.yaml", "\ncalls:\n  cinema.code: {url: "+url+"/codes, answers: {code: string}}\n")
	add("rewards.yaml", "\n  film: {kind: gift_card, title: A film, value: 12, codes: {call: cinema.code}, captured_by: till}\n")
	add("journeys/film.yaml", `
journey: film
topic: rewards
enter: [{on: cart.emptied}]
steps:
  - reward: film
    as: gift
    on_refused: [{end: no_code}]
  - say: "{{ gift.title }}: {{ gift.code }}"
  - end: given
`)
	ports := freePorts(t, 4)
	d := &devShop{
		t: t, data: filepath.Join(t.TempDir(), "data"), speed: 600, port: ports[0], phone: ports[1], temporal: ports[2], page: ports[3],
		shop: &shop{api: "http://" + loopback(ports[0]), phone: "http://" + loopback(ports[1]), key: "dev"},
	}
	d.start("--program="+dir, "--speed=600")
	return d
}

// By Temporal: what the other system answers late comes under one name and once; a customer who says stop does not wait for it; by hand the same
// key goes on; and no history and no list has a code.
func TestCodesOfAnotherSystem(t *testing.T) {
	t.Parallel()
	i := &issuer{}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	d := openCinema(t, strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	ida, bo := phoneNumber(1), phoneNumber(2)
	d.join(t, ida, bo)
	grants := func(t require.TestingT, phone string) (films []grantView) {
		for _, g := range list[grantView](t, d.shop, d.of(phone)+"/grants") {
			if g.Reward == "film" {
				films = append(films, g)
			}
		}
		return films
	}

	i.failing(2)
	d.send(t, event("film-1", "cart.emptied", ida, object{"cart_id": "c1"}))
	d.ended(t, soon, ida, "film", "given")
	given := grants(t, ida)
	require.Len(t, given, 1)
	id := given[0].ID
	require.Equal(t, []string{id, id, id}, i.asked())
	code := codeFor(id)
	require.Contains(t, given[0].Code, code[len(code)-4:])
	require.NotContains(t, given[0].Code, code)
	until(t, soon, func(c *assert.CollectT) {
		bubbles := d.chat(c, ida)
		require.Equal(c, "A film: "+code, bubbles[len(bubbles)-1].Text)
	})

	i.failing(1000)
	d.send(t, event("film-2", "cart.emptied", bo, object{"cart_id": "c2"}))
	until(t, soon, func(c *assert.CollectT) { require.NotEmpty(c, i.asked()) })
	require.Equal(t, "given", grants(t, bo)[0].Status)
	d.says(t, bo, "STOP")
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, "ended", d.run(c, bo, "film").Status)
		require.Equal(c, "released", grants(c, bo)[0].Status)
	})

	gift := object{"reward": "film", "by": "Mia", "reason": "a broken machine"}
	a, err := d.call(http.MethodPost, d.api+d.of(ida)+"/grants", gift, "Idempotency-Key", "gift")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, a.Status, a.Body)
	require.Contains(t, a.Body, "cinema.code gave no code: it does not answer")
	i.failing(0)
	a, err = d.call(http.MethodPost, d.api+d.of(ida)+"/grants", gift, "Idempotency-Key", "gift")
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, a.Status, a.Body)
	require.Equal(t, "given", grants(t, ida)[0].Status)

	p := openPages(t, d.temporal)
	agree(t, d.shop, p)
	for _, w := range p.workflows(t, "WorkflowType = 'film'") {
		text, err := proto.Marshal(p.history(t, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId()))
		require.NoError(t, err)
		require.Contains(t, string(text), w.GetExecution().GetWorkflowId(), "payloads are read as they are")
		for _, g := range append(grants(t, ida), grants(t, bo)...) {
			require.NotContains(t, string(text), codeFor(g.ID))
		}
	}
	require.NotContains(t, d.process.stderr.String()+d.process.stdout.String(), code)
}
