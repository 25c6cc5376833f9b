package signed

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The example of https://github.com/standard-webhooks/standard-webhooks, as its own libraries' tests have it.
func TestSignsAsTheSpecificationDoes(t *testing.T) {
	t.Parallel()
	key, err := Key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	req, err := Post(t.Context(), "https://example.com", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), key)
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", req.Header.Get("Webhook-Signature"))
	require.Equal(t, "msg_p5jXN8AQM9LWM0D4loKWxJek", req.Header.Get("Webhook-Id"))
	require.Equal(t, "1614265330", req.Header.Get("Webhook-Timestamp"))
	body, err := io.ReadAll(req.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"test": 2432232314}`, string(body))
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(), NewSecret()
	require.NotEqual(t, a, b)
	key, err := Key(a)
	require.NoError(t, err)
	require.Len(t, key, 32)
	plain, err := Key("a word")
	require.NoError(t, err)
	require.Equal(t, "a word", string(plain))
	for _, bad := range []string{"whsec_", "whsec_%%%"} {
		_, err = Key(bad)
		require.Error(t, err, bad)
	}
	// Two keys sign while one takes the other's place.
	other, err := Key(b)
	require.NoError(t, err)
	req, err := Post(t.Context(), "https://example.com", "id", time.Unix(1, 0), nil, key, other)
	require.NoError(t, err)
	require.Len(t, strings.Split(req.Header.Get("Webhook-Signature"), " "), 2)
}

func TestClientStaysOutside(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	get := func(private bool) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		require.NoError(t, err)
		return Client(private).Do(req)
	}
	_, err := get(false) //nolint:bodyclose // there is none
	require.ErrorIs(t, err, ErrPrivate)
	require.Zero(t, asked)
	res, err := get(true)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusFound, res.StatusCode)
	require.Equal(t, 1, asked, "a redirect is not followed")
}

// Requests reach what anybody may reach, and nothing else.
func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "8.8.8.8": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.1.2.3": false,
		"100.100.100.200": false, "192.0.0.192": false, "198.18.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"168.63.129.16": false, "224.0.0.1": false, "::1": false, "::": false, "fe80::1": false, "fc00::1": false,
		"::ffff:127.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false,
		"fec0::1": false, "::ffff:0:127.0.0.1": false, "2001:0:a00:1::": false, "192.88.99.1": false, "2001:4860:4860::8888": true,
	} {
		require.Equal(t, want, public(netip.MustParseAddr(address)), address)
	}
}
