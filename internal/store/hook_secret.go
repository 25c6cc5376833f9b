package store

import (
	"context"

	"punchcard"
)

// hookRow is a hook with what it signs with: sealed as codes are, or in the clear as an earlier version left it.
type hookRow struct {
	punchcard.Hook

	Clear        string `gorm:"column:secret"`
	ClearFormer  string `gorm:"column:former"`
	KeyID        string // of both; "": they are in the clear
	Sealed       []byte
	SealedFormer []byte
}

// TableName is the table's.
func (*hookRow) TableName() string { return "hooks" }

// What a hook's secrets are sealed as: each opens in its own place only.
func hookSecretName(id string) []byte { return []byte("hooks/" + id + "/secret") }
func hookFormerName(id string) []byte { return []byte("hooks/" + id + "/former") }

// seal puts secrets into the row; none are not sealed, and need no key.
func (r *hookRow) seal(tx *Tx, secret, former string) error {
	r.Clear, r.ClearFormer, r.KeyID, r.Sealed, r.SealedFormer = "", "", "", nil, nil
	if secret == "" && former == "" {
		return nil
	}
	k, err := tx.codeKeys()
	if err != nil {
		return err
	}
	r.KeyID, r.Sealed = k.seal([]byte(secret), hookSecretName(r.ID))
	_, r.SealedFormer = k.seal([]byte(former), hookFormerName(r.ID))
	return nil
}

func (r *hookRow) open(tx *Tx) (secret, former string, err error) {
	if r.KeyID == "" {
		return r.Clear, r.ClearFormer, nil
	}
	k, err := tx.codeKeys()
	if err != nil {
		return "", "", err
	}
	text, err := k.open(r.KeyID, r.Sealed, hookSecretName(r.ID))
	if err != nil {
		return "", "", err
	}
	before, err := k.open(r.KeyID, r.SealedFormer, hookFormerName(r.ID))
	return string(text), string(before), err
}

func (r *hookRow) save(tx *Tx) error {
	return tx.db.Model(&hookRow{}).Where("id = ?", r.ID).
		Select("secret", "former", "key_id", "sealed", "sealed_former").Updates(r).Error
}

// OpenHook is Hook with what it signs with, and what it signed with before: "" for none, with spaces between several. The error is that of codes where the keys are
// missing that have sealed them.
func (tx *Tx) OpenHook(id string) (h *punchcard.Hook, secret, former string, err error) {
	r, err := one[hookRow](tx.db.Where("id = ? AND removed_at IS NULL", id))
	if r, err = must(r, err, "hook"); err != nil {
		return nil, "", "", err
	}
	secret, former, err = r.open(tx)
	return &r.Hook, secret, former, err
}

// SetHookSecrets seals what a hook signs with from now on, and what it signed with before. The hook is locked.
func (tx *Tx) SetHookSecrets(id, secret, former string) error {
	r := hookRow{Hook: punchcard.Hook{ID: id}}
	if err := r.seal(tx, secret, former); err != nil {
		return err
	}
	return r.save(tx)
}

// sealHooks seals anew the secrets of hooks that are in the clear, or sealed by another key than the newest, and answers how many hooks
// they are of. There are few, so that one transaction does it.
func (tx *Tx) sealHooks() (int, error) {
	rows, err := list[hookRow](tx.db.Clauses(lock).
		Where("secret <> '' OR former <> '' OR key_id <> '' AND key_id <> ?", tx.store.codes.newest).Order("id"))
	if err != nil {
		return 0, err
	}
	for i := range rows {
		r := &rows[i]
		secret, former, err := r.open(tx)
		if err == nil {
			err = r.seal(tx, secret, former)
		}
		if err == nil {
			err = r.save(tx)
		}
		if err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// sealClearHooks seals what an earlier version kept in the clear.
func (s *Store) sealClearHooks(ctx context.Context) error {
	n, err := count[hookRow](s.read.WithContext(ctx).Where("secret <> '' OR former <> ''"))
	if err != nil || n == 0 {
		return err
	}
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.sealHooks()
		return err
	})
}
