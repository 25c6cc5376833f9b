package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"punchcard"
	"punchcard/internal/store"
)

// Keys knows who may call.
type Keys interface {
	// Lookup is the name of the key with that secret. ok is false when there is none; an error says that nobody knows now.
	Lookup(ctx context.Context, secret string) (name string, ok bool, err error)
}

// FixedKey is one key that is the same for ever: the development server's.
type FixedKey string

// Lookup knows that one secret.
func (k FixedKey) Lookup(_ context.Context, secret string) (string, bool, error) {
	return "dev", k != "" && subtle.ConstantTimeCompare([]byte(k), []byte(secret)) == 1, nil
}

// StoreKeys are the keys in the database. It is safe for concurrent use.
type StoreKeys struct {
	Store *store.Store

	mu    sync.Mutex
	known map[string]knownKey // by hash
}

type knownKey struct {
	name string
	at   time.Time
}

// keyFor is how long a key that was found is taken for granted: so long a revoked one may still work.
const keyFor = 5 * time.Second

// HashKey is the form in which a key's secret is kept.
func HashKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Lookup finds a key by its secret's hash. What was found is remembered for a short while; what was not is not, so that a new
// key works at once and nobody can fill the memory.
func (k *StoreKeys) Lookup(ctx context.Context, secret string) (string, bool, error) {
	hash := HashKey(secret)
	k.mu.Lock()
	have, ok := k.known[hash]
	k.mu.Unlock()
	if ok && time.Since(have.at) < keyFor {
		return have.name, true, nil
	}
	row, err := k.Store.View(ctx).APIKeyByHash(hash)
	if err != nil {
		return "", false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if row == nil {
		delete(k.known, hash)
		return "", false, nil
	}
	if k.known == nil {
		k.known = map[string]knownKey{}
	}
	k.known[hash] = knownKey{name: row.Name, at: time.Now()}
	return row.Name, true, nil
}

// maxSecret bounds a key that is looked up, in bytes.
const maxSecret = 500

// authenticate lets a request pass when its route is public or it bears a known key. A route that the table does not have is
// not public.
func (s *server) authenticate(table map[string]route) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.FullPath() == "" {
			return // there is no such route, which anyone may know
		}
		if r, ok := table[c.Request.Method+" "+c.FullPath()]; ok && r.permission == public {
			return
		}
		secret := c.GetHeader("X-API-Key")
		if scheme, token, ok := strings.Cut(c.GetHeader("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
			secret = strings.TrimSpace(token)
		}
		if secret == "" || s.Keys == nil {
			s.refuse(c, punchcard.Errorf(punchcard.CodeUnauthorized, "a key is needed: send Authorization: Bearer KEY, or X-API-Key: KEY").Because("no_key"))
			return
		}
		unknown := punchcard.Errorf(punchcard.CodeUnauthorized, "that key is not known, or was revoked").Because("unknown_key")
		if len(secret) > maxSecret {
			s.refuse(c, unknown)
			return
		}
		name, ok, err := s.Keys.Lookup(c.Request.Context(), secret)
		switch {
		case err != nil:
			s.refuse(c, err)
		case !ok:
			s.refuse(c, unknown)
		default:
			c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), callerKey, name))
		}
	}
}
