package whatsapp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for class, list := range map[Class][]int{
		Retry:     {4, 17, 80007, 130429, 131056, 131057, 131059, 2494100},
		Ambiguous: {1, 2, 131000, 131016, 133004},
		Defer:     {131049, 134101, 132069, 133008, 133009, 133015, 133016},
		Recipient: {131026, 131021, 131047, 130472, 130403, 130497, 131062, 131053, 132005, 137000},
		OptOut:    {131050},
		Template:  {132000, 132001, 132007, 132012, 132015, 132016, 132018, 132068, 2388019, 2388299, 2388555},
		Sender:    {0, 3, 10, 33, 104, 190, 200, 250, 299, 368, 131005, 131031, 131037, 131042, 131045, 131048, 131064, 133010, 134011, 134102},
		Bug:       {100, 131008, 131009, 131030, 131051, 131055, 131063, 134100, 135000, 130501, 133000, 133005, 133006},
		Unrelated: {131052, 131060, 139100, 147001, 200005, 2388012, 2593107},
	} {
		for _, code := range list {
			got, known := Classify(code)
			require.True(t, known, "code %d", code)
			require.Equal(t, class, got, "code %d", code)
			require.NotEmpty(t, describe(code), "code %d", code)
		}
	}
	got, known := Classify(987654)
	require.False(t, known)
	require.Equal(t, Bug, got)
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
