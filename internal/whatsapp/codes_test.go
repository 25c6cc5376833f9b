package whatsapp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// classes is what each code of Meta's list, and the two beside it, must be taken for.
var classes = map[Class][]int{
	Retry:     {4, 17, 80007, 130429, 131056, 131057, 131059, 139102, 139103, 2494100},
	Ambiguous: {1, 2, 131000, 131016, 133004},
	Defer:     {131049, 132069, 133008, 133009, 133015, 133016, 134101},
	Recipient: {130403, 130472, 130497, 131021, 131026, 131047, 131053, 131062, 132005, 137000},
	OptOut:    {131050},
	Template: {
		132000, 132001, 132007, 132012, 132015, 132016, 132018, 132068,
		2388019, 2388039, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299,
	},
	Sender: {
		0, 3, 10, 33, 104, 190, 368, 803, 131005, 131031, 131037, 131042, 131045, 131048, 131064, 133010, 134011, 134102,
	},
	Bug: {100, 130501, 131008, 131009, 131030, 131051, 131055, 131063, 133000, 133005, 133006, 134100, 135000},
	Unrelated: {
		131052, 131060, 139100, 139101, 147001, 147002, 147003, 147004, 147005, 200005, 200006, 200007,
		1752041, 2388012, 2388091, 2388093, 2388103, 2593107, 2593108,
	},
}

func TestClassify(t *testing.T) {
	t.Parallel()
	seen := 0
	for class, list := range classes {
		for _, code := range list {
			h, ok := codes[code]
			require.True(t, ok, "code %d", code)
			got, known := Classify(code)
			require.True(t, known, "code %d", code)
			require.Equal(t, class, got, "code %d", code)
			require.NotEmpty(t, h.what, "code %d", code)
			seen++
		}
	}
	require.Len(t, codes, seen, "a code of the table is not in this test")
	// Two ranges stand in no table: permissions, and whatever else is said of a template.
	for code, class := range map[int]Class{200: Sender, 250: Sender, 299: Sender, 2388555: Template} {
		got, known := Classify(code)
		require.True(t, known, "code %d", code)
		require.Equal(t, class, got, "code %d", code)
		require.NotEmpty(t, describe(code), "code %d", code)
	}
	for _, code := range []int{-1, 199, 300, 987654} {
		got, known := Classify(code)
		require.False(t, known, "code %d", code)
		require.Equal(t, Bug, got, "code %d", code)
	}
}

// Whatever is safe to send again for a rate's sake has a bucket, and nothing else has.
func TestScope(t *testing.T) {
	t.Parallel()
	want := map[int]Scope{
		4: ScopeAccount, 17: ScopeAccount, 80007: ScopeAccount, 130429: ScopeNumber, 131057: ScopeNumber, 2494100: ScopeNumber, 131056: ScopePair,
	}
	for _, list := range classes {
		for _, code := range list {
			require.Equal(t, want[code], ScopeOf(code), "code %d", code)
			require.Equal(t, want[code], (&Error{Code: code}).Scope(), "code %d", code)
		}
	}
	for code := range want {
		require.Contains(t, classes[Retry], code)
	}
	require.Equal(t, ScopeAccount, (&Error{Code: CodeNone, HTTPStatus: 429}).Scope())
	require.Equal(t, ScopeNone, (&Error{Code: CodeNone, HTTPStatus: 503}).Scope())
}

// Every code of the reference list must be in the table, with the class that its handling means.
func TestClassifyAgainstReference(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(payloads(t), "..", "error_codes.json"))
	if err != nil {
		t.Skip("no reference list here")
	}
	var list struct {
		Codes []struct {
			Code  any    `json:"code"`
			Class string `json:"class"`
			Same  *bool  `json:"retry_same_message"`
		} `json:"codes"`
	}
	require.NoError(t, json.Unmarshal(raw, &list))
	want := map[string]Class{
		"defer": Defer, "permanent_message": Recipient, "optout": OptOut, "template_config": Template,
		"account_stop": Sender, "config_bug": Bug, "na": Unrelated,
	}
	for _, c := range list.Codes {
		number, ok := c.Code.(float64)
		if !ok {
			continue // the range 200-299
		}
		class, known := want[c.Class]
		if !known {
			require.Equal(t, "retry_backoff", c.Class)
			class = Retry
			if c.Same == nil {
				class = Ambiguous
			}
		}
		_, ok = codes[int(number)]
		require.True(t, ok, "code %v", c.Code)
		got, _ := Classify(int(number))
		require.Equal(t, class, got, "code %v", c.Code)
	}
	require.NotEmpty(t, list.Codes)
}

// payloads is the folder of recorded bodies, for the tests that run over them where they are present.
func payloads(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PUNCHCARD_PAYLOADS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "whatsapp", "payloads")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no recorded payloads here; PUNCHCARD_PAYLOADS may name their folder")
	}
	return strings.TrimRight(dir, "/")
}
