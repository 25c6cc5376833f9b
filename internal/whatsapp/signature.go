package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strings"
)

// Sign is the X-Hub-Signature-256 header of a body: sha256= and the HMAC in hexadecimal.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Verify tells whether one of the app secrets signed the body. It must see the raw bytes: Meta signs what it sent, with
// its own escapes, so a body that was parsed and written again does not verify. Several secrets allow a change of secret
// without a gap. Empty secrets are never right. The time it takes does not depend on how much of a signature is right.
//
// A signature has no time in it. A body that comes twice verifies twice: the ids inside tell.
func Verify(secrets []string, body []byte, signatureHeader string) bool {
	digest, ok := strings.CutPrefix(signatureHeader, "sha256=")
	got, err := hex.DecodeString(digest)
	if !ok || err != nil || len(got) != sha256.Size {
		return false
	}
	right := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), got) {
			right = true
		}
	}
	return right
}

// Handshake answers Meta's question whether this address wants its webhooks. When ok, answer 200 with the challenge as
// plain text; else 403. An empty verifyToken is never right.
func Handshake(query url.Values, verifyToken string) (challenge string, ok bool) {
	if verifyToken == "" || query.Get("hub.mode") != "subscribe" ||
		subtle.ConstantTimeCompare([]byte(query.Get("hub.verify_token")), []byte(verifyToken)) != 1 {
		return "", false
	}
	return query.Get("hub.challenge"), true
}
