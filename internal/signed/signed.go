// Package signed makes requests to other systems: signed by the Standard Webhooks scheme (https://www.standardwebhooks.com), kept
// from private networks, and never redirected. What programs call and what hooks are told goes through here.
package signed

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	secretPrefix = "whsec_"
	// secretBytes is how long our secrets are. The scheme asks for 24 to 64.
	secretBytes = 32
)

// NewSecret makes a secret: whsec_ and 32 random bytes in base64.
func NewSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// Key is what a secret signs with: the bytes of one that begins with whsec_, and any other word as it is. The error is for one that
// begins so and goes on as no base64.
func Key(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("a secret that begins with whsec_ goes on in base64")
	}
	return key, nil
}

// Post prepares a signed request with a JSON body. id names what is said, and is the same when it is said again; at is now, in the
// machine's time: who receives refuses what is minutes old. Each key signs.
func Post(ctx context.Context, url, id string, at time.Time, body []byte, keys ...[]byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("prepare a request: %w", err)
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = "v1," + sign(key, id, timestamp, body)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Punchcard")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", timestamp)
	req.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	return req, nil
}

func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + timestamp + ".")) // a hash never fails
	_, _ = mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ErrPrivate refuses an address that may not be reached.
var ErrPrivate = errors.New("the address is private")

// reserved are address blocks that no public service lives in, beside those that netip knows by name: this network, carriers'
// and cloud providers' own, benchmarks, the future, and the IPv6 forms that embed an IPv4 address. Source: the IANA registries of
// special-purpose addresses; 168.63.129.16 is Azure's, and fec0::/10 is what RFC 3879 took back and some networks still have.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("fec0::/10"),
}

// public tells whether an address is one that anybody may reach.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || !ip.IsGlobalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// Client reaches public addresses only, or any with private, and follows no redirect: where an answer comes from is what was asked for.
// The error of a request to another address wraps ErrPrivate.
func Client(private bool) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !private {
		// The address is judged once it is known, so that no name can be pointed elsewhere in between.
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			ip, parseErr := netip.ParseAddr(host)
			if err != nil || parseErr != nil || !public(ip) {
				return ErrPrivate
			}
			return nil
		}
	}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
