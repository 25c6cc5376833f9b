package punchcard

import (
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// Prefixes of our ids. An id says what it names: cus_…, run_….
const (
	PrefixCustomer   = "cus"
	PrefixRun        = "run"
	PrefixEvent      = "evt"
	PrefixMessage    = "msg"
	PrefixGrant      = "grt"
	PrefixRedemption = "rdm"
	PrefixApproval   = "apr"
	PrefixKey        = "key"
	PrefixHandoff    = "hnd"
	PrefixAdjustment = "adj"
	PrefixAlert      = "alr"
	PrefixReveal     = "rvl"
	PrefixUpload     = "upl"
	PrefixHook       = "hok"
	PrefixHookEvent  = "hke"
	PrefixReferral   = "ref"
	PrefixCapture    = "cap"
	PrefixRefusal    = "rfs"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an id: the prefix, an underscore and 26 lower-case characters that sort by the time of their making (UUID v7
// in Crockford's base 32). Ids are opaque: nothing about the customer stands in them.
func NewID(prefix string) string {
	u := uuid.Must(uuid.NewV7()) // fails only when the system has no randomness, where nothing else is safe either
	return prefix + "_" + idEncoding.EncodeToString(u[:])
}

// IsID tells whether s has the form that NewID gives ids of this prefix.
func IsID(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || len(rest) != 26 {
		return false
	}
	_, err := idEncoding.DecodeString(rest)
	return err == nil
}
