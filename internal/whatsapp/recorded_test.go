package whatsapp

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Recorded webhooks, where they are present: nothing in them is broken or lost, what there is a type for is of that type,
// and all text of a message is in it.
func TestParseRecorded(t *testing.T) {
	t.Parallel()
	dir := payloads(t)
	seen := 0
	for _, sub := range []string{"webhooks", "manual"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".json" ||
				(sub == "manual" && !strings.HasPrefix(d.Name(), "webhook-")) {
				return err
			}
			body, err := os.ReadFile(path)
			require.NoError(t, err)
			updates, err := Parse(body)
			require.NoError(t, err, path)
			whole(t, updates)
			taken(t, d.Name(), body, updates)
			seen++
			return nil
		})
		require.NoError(t, err)
	}
	require.NotZero(t, seen)
}

// taken checks updates against a body that is as Meta documents it.
func taken(t *testing.T, name string, body []byte, updates []Update) {
	t.Helper()
	var webhook struct {
		Entry []struct {
			Field   string
			Changes []struct {
				Field string
				Value map[string]json.RawMessage
			}
		}
	}
	require.NoError(t, json.Unmarshal(body, &webhook), name)
	left := updates
	next := func() Update {
		t.Helper()
		require.NotEmpty(t, left, name)
		u := left[0]
		left = left[1:]
		require.Nil(t, u.Broken, name)
		return u
	}
	for _, entry := range webhook.Entry {
		for _, change := range entry.Changes {
			var items []json.RawMessage
			switch field := firstOf(change.Field, entry.Field); {
			case field == "messages" || field == "user_preferences":
				for part, read := range map[string]func(Update) json.RawMessage{
					"messages":         func(u Update) json.RawMessage { understood(t, name, u.Inbound); return u.Inbound.Raw },
					"statuses":         func(u Update) json.RawMessage { return u.Status.Raw },
					"user_preferences": func(u Update) json.RawMessage { return u.Preference.Raw },
				} {
					items = nil
					if raw := change.Value[part]; raw != nil {
						require.NoError(t, json.Unmarshal(raw, &items), name)
					}
					for _, item := range items {
						require.JSONEq(t, string(item), string(read(next())), name)
					}
				}
				for part := range change.Value {
					switch part {
					case "messages", "statuses", "user_preferences", "contacts", "metadata", "messaging_product":
					case "errors":
						require.NotNil(t, next().Account, name)
					default:
						require.Equal(t, field+"."+part, next().Other.Field, name)
					}
				}
			case field == "message_template_components_update":
				require.NotNil(t, next().Other, name)
			case strings.HasPrefix(field, "message_template_") || strings.HasPrefix(field, "template_"):
				u := next().Template
				require.NotNil(t, u, name)
				require.NotEmpty(t, u.ID, name)
				require.NotEmpty(t, u.Event, name)
			case accountFields[field]:
				u := next().Account
				require.NotNil(t, u, name)
				require.NotEmpty(t, u.Event+u.Limit, name)
			default:
				require.Equal(t, field, next().Other.Field, name)
			}
		}
	}
	require.Empty(t, left, name)
}

var accountFields = map[string]bool{
	"account_update": true, "account_alerts": true, "account_review_update": true, "business_capability_update": true,
	"phone_number_quality_update": true, "phone_number_name_update": true, "security": true,
}

// understood checks that every text of a message of a known type is in its Inbound.
func understood(t *testing.T, name string, in *Inbound) {
	t.Helper()
	if in.Type == "poll_vote_from_the_future" {
		return
	}
	known := texts(*in) + "\n" + in.At.String()
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				walk(path+"."+key, value)
			}
		case []any:
			for _, value := range v {
				walk(path, value)
			}
		case string:
			v = strings.ReplaceAll(v, "\x00", "\uFFFD")
			if !kept[path] && !strings.Contains(known, v) {
				t.Errorf("%s: %s: %q is nowhere", name, path, v)
			}
		}
	}
	var message any
	require.NoError(t, json.Unmarshal(in.Raw, &message))
	walk("", message)
}

// kept are the members that only Raw has.
var kept = map[string]bool{
	".timestamp":                          true, // is At
	".from_logical_id":                    true,
	".context.from":                       true, // the business itself, or whoever wrote what is quoted
	".sticker.url":                        true, // lives five minutes
	".edit.message.image.url":             true,
	".interactive.list_reply.description": true, // our own words
	".contacts.phones.type":               true,
}
