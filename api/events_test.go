package api_test

import (
	"net/http"
	"testing"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	for _, p := range []string{"", "/runs", "/messages", "/consents", "/points", "/grants"} {
		t.Log(b.get("/v1/customers/" + id + p).is(http.StatusOK))
	}
	for _, p := range []string{"/openapi.json", "/docs", "/", "/healthz", "/readyz", "/v1/program"} {
		r := b.get(p)
		t.Log(r.status, r.header, r.body)
	}
	t.Log(b.log.String())
}
