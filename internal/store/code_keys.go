package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// codeKeys seal codes and hooks' secrets, and find codes again. They seal by AES-256-GCM with the newest key, and opened by the key whose id
// stands beside them. Codes are found by an HMAC under a secret of the database's own, which is sealed too: it outlives the keys, so
// that their rotation changes no hash.
type codeKeys struct {
	newest string
	keys   map[string]cipher.AEAD
	lookup []byte // of codes
	link   []byte // of links
}

var codeKeyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,40}$`)

// codeKeySize is that of AES-256, in bytes.
const codeKeySize = 32

// NewCodeKey makes a key to codes, as UseCodeKeys takes it.
func NewCodeKey(id string) string {
	key := make([]byte, codeKeySize)
	_, _ = rand.Read(key) // never fails
	return id + ":" + base64.StdEncoding.EncodeToString(key)
}

// CheckCodeKeys tells what is wrong with keys to codes. The error holds nothing of them.
func CheckCodeKeys(texts []string) error {
	_, err := parseCodeKeys(texts)
	return err
}

func parseCodeKeys(texts []string) (*codeKeys, error) {
	k := &codeKeys{keys: map[string]cipher.AEAD{}}
	texts = strings.Fields(strings.Join(texts, " ")) // a file has one on each line
	for i, text := range texts {
		id, encoded, _ := strings.Cut(strings.TrimSpace(text), ":")
		key, err := base64.StdEncoding.DecodeString(encoded)
		switch {
		case !codeKeyID.MatchString(id) || err != nil || len(key) != codeKeySize:
			// Nothing of the text is said: it is a secret, however wrong.
			return nil, fmt.Errorf("code key %d is not of the form ID:BASE64, with %d bytes: punchcard keys new-code-key makes one", i+1, codeKeySize)
		case k.keys[id] != nil:
			return nil, fmt.Errorf("two code keys have the id %s", id)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if k.keys[id], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
		if i == 0 {
			k.newest = id
		}
	}
	if k.newest == "" {
		return nil, errors.New("there are no code keys: set --code-keys")
	}
	return k, nil
}

// seal encrypts with the newest key. name is what the text belongs to: it opens for that only.
func (k *codeKeys) seal(text, name []byte) (keyID string, sealed []byte) {
	aead := k.keys[k.newest]
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(text)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return k.newest, aead.Seal(nonce, nonce, text, name)
}

func (k *codeKeys) open(keyID string, sealed, name []byte) ([]byte, error) {
	aead := k.keys[keyID]
	if aead == nil {
		return nil, fmt.Errorf("something here is sealed by the key %s, which is not among the code keys: set it again, after the newest", keyID)
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("something sealed is damaged")
	}
	text, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], name)
	if err != nil {
		return nil, fmt.Errorf("what the key %s has sealed does not open: the key is another of the same id, or the database was changed", keyID)
	}
	return text, nil
}

func (k *codeKeys) hash(code string) []byte { return keyed(k.lookup, punchcard.NormalizeCode(code)) }

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(text)) // a hash never fails
	return mac.Sum(nil)
}

// errNoCodeKeys is what a store without keys says of what is sealed.
var errNoCodeKeys = punchcard.Errorf(punchcard.CodeUnavailable, "codes and hooks' secrets are sealed, and this process has no keys to them: start it with --code-keys").Because("no_code_keys")

// CanSealCodes tells with its error that this process could not keep a code: it has no keys.
func (tx *Tx) CanSealCodes() error {
	_, err := tx.codeKeys()
	return err
}

func (tx *Tx) codeKeys() (*codeKeys, error) {
	if tx.store.codes == nil {
		return nil, errNoCodeKeys
	}
	return tx.store.codes, nil
}

type codeSecret struct {
	Name   string `gorm:"primaryKey"`
	KeyID  string
	Sealed []byte
}

// secretIndex is what hashes and links are made with.
const secretIndex = "index"

// UseCodeKeys gives the store the keys to codes, the newest first, each as ID:BASE64. It is called once, before anything else uses the
// store, on a database whose schema is current. Codes and hooks' secrets that an earlier version kept in the clear are sealed here, in small
// transactions: whoever dies over it goes on the next time.
func (s *Store) UseCodeKeys(ctx context.Context, texts []string) error {
	k, err := parseCodeKeys(texts)
	if err != nil {
		return err
	}
	secret, err := one[codeSecret](s.read.WithContext(ctx).Where("name = ?", secretIndex))
	if err != nil {
		return err
	}
	if secret == nil {
		err := s.Update(ctx, func(tx *Tx) error {
			fresh := make([]byte, codeKeySize)
			_, _ = rand.Read(fresh) // never fails
			row := codeSecret{Name: secretIndex}
			row.KeyID, row.Sealed = k.seal(fresh, []byte(secretIndex))
			if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
				return err
			}
			secret, err = one[codeSecret](tx.db.Where("name = ?", secretIndex)) // another process may have been faster
			return err
		})
		if err != nil {
			return err
		}
	}
	index, err := k.open(secret.KeyID, secret.Sealed, []byte(secretIndex))
	if err != nil {
		return err
	}
	k.lookup, k.link = keyed(index, "codes"), keyed(index, "links")
	s.codes = k
	if err := s.sealClearHooks(ctx); err != nil {
		return err
	}
	return s.sealClear(ctx)
}

// codeBatch is how many codes one transaction seals.
const codeBatch = 500

type clearCode struct {
	Code      string `gorm:"primaryKey"`
	Reward    string
	GrantID   *string
	CreatedAt time.Time
}

func (clearCode) TableName() string { return "reward_codes_clear" }

// sealClear moves over the codes that an earlier version kept in the clear, and hides them in grants and in the messages that
// showed them.
func (s *Store) sealClear(ctx context.Context) error {
	for {
		var moved int
		err := s.Update(ctx, func(tx *Tx) error {
			rows, err := list[clearCode](tx.db.Clauses(skipLocked).Order("code").Limit(codeBatch))
			if err != nil {
				return err
			}
			moved = len(rows)
			for _, c := range rows {
				if err := tx.sealClearCode(c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || moved == 0 {
			return err
		}
	}
}

func (tx *Tx) sealClearCode(c clearCode) error {
	row := tx.store.codes.row(c.Code, c.Reward, c.GrantID)
	row.CreatedAt = c.CreatedAt
	if err := tx.db.Create(&row).Error; err != nil {
		return err
	}
	if c.GrantID != nil {
		hidden := punchcard.MaskCode(c.Code)
		if err := tx.db.Exec("UPDATE grants SET code = ? WHERE id = ?", hidden, *c.GrantID).Error; err != nil {
			return err
		}
		if err := tx.db.Exec(`UPDATE messages SET text = replace(text, ?, ?)
			WHERE customer_id = (SELECT customer_id FROM grants WHERE id = ?) AND direction = 'out'`, c.Code, hidden, *c.GrantID).Error; err != nil {
			return err
		}
	}
	return tx.db.Delete(&c).Error
}

// Reseal seals one more batch of codes with the newest key, those after a hash (nil: from the first), and answers the hash to go on
// from, nil when all are, and how many it sealed. The last batch seals hooks' secrets and the database's own too.
func (s *Store) Reseal(ctx context.Context, after []byte) (next []byte, sealed int, err error) {
	if s.codes == nil {
		return nil, 0, errNoCodeKeys
	}
	err = s.Update(ctx, func(tx *Tx) error {
		k := s.codes
		q := tx.db.Clauses(lock).Where("key_id <> ?", k.newest).Order("hash").Limit(codeBatch)
		if after != nil {
			q = q.Where("hash > ?", after)
		}
		rows, err := list[rewardCode](q)
		if err != nil {
			return err
		}
		next, sealed = nil, len(rows)
		for _, r := range rows {
			code, err := k.open(r.KeyID, r.Sealed, r.Hash)
			if err != nil {
				return err
			}
			id, sealed := k.seal(code, r.Hash)
			if err := tx.db.Exec("UPDATE reward_codes SET key_id = ?, sealed = ? WHERE hash = ?", id, sealed, r.Hash).Error; err != nil {
				return err
			}
			next = r.Hash
		}
		if len(rows) == codeBatch {
			return nil
		}
		next = nil
		hooks, err := tx.sealHooks()
		if err != nil {
			return err
		}
		sealed += hooks
		return tx.resealIndex()
	})
	return next, sealed, err
}

func (tx *Tx) resealIndex() error {
	k := tx.store.codes
	secret, err := one[codeSecret](tx.db.Clauses(lock).Where("name = ?", secretIndex))
	if err != nil || secret == nil || secret.KeyID == k.newest {
		return err
	}
	index, err := k.open(secret.KeyID, secret.Sealed, []byte(secretIndex))
	if err != nil {
		return err
	}
	secret.KeyID, secret.Sealed = k.seal(index, []byte(secretIndex))
	return tx.db.Save(secret).Error
}

// CodeKeysInUse counts codes, hooks and the database's own secret by the id of the key that has sealed them: a key with none may be taken away.
func (tx *Tx) CodeKeysInUse() (map[string]int64, error) {
	var rows []struct {
		KeyID string
		N     int64
	}
	err := tx.db.Raw(`SELECT key_id, sum(n) AS n FROM (
		SELECT key_id, count(*) AS n FROM reward_codes GROUP BY key_id UNION ALL SELECT key_id, 1 FROM code_secrets
		UNION ALL SELECT key_id, 1 FROM hooks WHERE key_id <> '') AS used
		GROUP BY key_id`).Scan(&rows).Error
	used := map[string]int64{}
	for _, r := range rows {
		used[r.KeyID] = r.N
	}
	return used, err
}

// LinkToken is the last part of a grant's own link: nobody can make one for another's. The error is that there are no keys.
func (tx *Tx) LinkToken(grant string) (string, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return "", err
	}
	bare := strings.TrimPrefix(grant, punchcard.PrefixGrant+"_")
	return bare + base64.RawURLEncoding.EncodeToString(keyed(k.link, grant)[:linkProof]), nil
}

// linkProof is how much of the HMAC a link carries, in bytes: more than anybody tries out over HTTP.
const linkProof = 12

// GrantByLink is the grant whose link ends in a token, or nil.
func (tx *Tx) GrantByLink(token string) (*punchcard.Grant, error) {
	const bare = 26 // of an id: see punchcard.NewID
	if len(token) <= bare {
		return nil, nil
	}
	id := punchcard.PrefixGrant + "_" + token[:bare]
	if !punchcard.IsID(punchcard.PrefixGrant, id) {
		return nil, nil
	}
	right, err := tx.LinkToken(id)
	if err != nil || !hmac.Equal([]byte(right), []byte(token)) {
		return nil, err
	}
	return tx.Grant(id)
}
