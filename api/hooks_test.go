package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
)

func TestHooks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.post("/v1/hooks", `{"url": "http://127.0.0.1/x"}`).is(http.StatusUnprocessableEntity)
	b.post("/v1/hooks", `{"url": "https://example.com", "types": ["points.chnged"]}`).is(http.StatusUnprocessableEntity)
	hook := b.post("/v1/hooks", `{"url": "https://example.com/in", "types": ["points.changed"], "note": "the shop"}`).is(http.StatusCreated)
	id, _ := hook["id"].(string)
	secret, _ := hook["secret"].(string)
	require.True(t, strings.HasPrefix(secret, "whsec_"))

	shown := b.get("/v1/hooks")
	require.NotContains(t, shown.body, "whsec_")
	require.NotContains(t, shown.body, secret[6:])
	require.Contains(t, shown.body, `"note":"the shop"`)

	b.post("/v1/hooks/"+id+"/test", "").is(http.StatusAccepted)
	deliveries := b.get("/v1/hooks/" + id + "/deliveries?status=pending").is(http.StatusOK)
	items, _ := deliveries["items"].([]any)
	require.Len(t, items, 1)
	first, _ := items[0].(map[string]any)
	require.Equal(t, "hook.test", first["type"])
	event, _ := first["event"].(string)
	require.Equal(t, map[string]any{"replayed": 1.0}, b.post("/v1/hooks/"+id+"/replay", `{"event": "`+event+`"}`).is(http.StatusAccepted))
	require.Equal(t, map[string]any{"replayed": 0.0}, b.post("/v1/hooks/"+id+"/replay", `{"since": "2026-01-01T00:00:00Z"}`).is(http.StatusAccepted))
	b.post("/v1/hooks/"+id+"/replay", `{}`).is(http.StatusUnprocessableEntity)
	b.post("/v1/hooks/"+id+"/replay", `{"event": "hke_none"}`).is(http.StatusNotFound)
	b.post("/v1/hooks/"+id+"/enable", "").is(http.StatusOK)

	next := b.post("/v1/hooks/"+id+"/rotate", "").is(http.StatusOK)
	require.NotEqual(t, secret, next["secret"])
	require.NotEmpty(t, next["former_until"])

	require.Equal(t, http.StatusNoContent, b.call(http.MethodDelete, "/v1/hooks/"+id, "").status)
	b.get("/v1/hooks/" + id + "/deliveries").is(http.StatusNotFound)
	require.NotContains(t, b.get("/v1/hooks").body, id)
	require.NotContains(t, b.log.String(), "whsec_")
}

// The document says of each type what is told.
func TestHooksAreDocumented(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var doc struct {
		Webhooks map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							Properties map[string]struct {
								Ref string `json:"$ref"`
							}
						}
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(b.get("/openapi.json").body), &doc))
	for _, told := range punchcard.HookTypes() {
		hook, ok := doc.Webhooks[string(told.Type)]
		require.True(t, ok, told.Type)
		ref := hook.Post.RequestBody.Content["application/json"].Schema.Properties["data"].Ref
		raw, err := json.Marshal(told.Data)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(raw, &fields))
		for name := range fields {
			require.Contains(t, doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")].Properties, name, told.Type)
		}
	}
}
