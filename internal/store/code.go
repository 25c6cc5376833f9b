package store

import (
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// rewardCode is a code: of a pool, or made for a grant. It goes to one grant only, and one that was shown is never pooled again. Its
// text is sealed; it is found by its hash.
type rewardCode struct {
	Hash    []byte `gorm:"primaryKey"`
	Reward  string
	GrantID *string // nil: free in the pool
	KeyID   string
	Sealed  []byte

	CreatedAt time.Time
}

// row is a code as it is kept.
func (k *codeKeys) row(code, reward string, grant *string) rewardCode {
	r := rewardCode{Hash: k.hash(code), Reward: reward, GrantID: grant}
	r.KeyID, r.Sealed = k.seal([]byte(code), r.Hash)
	return r
}

// SetGrantCode notes on a grant that it has its code, and what may be shown of it.
func (tx *Tx) SetGrantCode(g *punchcard.Grant, code string) error {
	g.Code = punchcard.MaskCode(code)
	return tx.db.Model(g).Update("code", g.Code).Error
}

// CodeOf is the whole code of a grant, for whom it belongs to; "" when it has none.
func (tx *Tx) CodeOf(grant string) (string, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return "", err
	}
	c, err := one[rewardCode](tx.db.Where("grant_id = ?", grant))
	if err != nil || c == nil {
		return "", err
	}
	code, err := k.open(c.KeyID, c.Sealed, c.Hash)
	return string(code), err
}

// GrantByCode reads the grant that a code went to, or nil.
func (tx *Tx) GrantByCode(code string) (*punchcard.Grant, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return nil, err
	}
	c, err := one[rewardCode](tx.db.Where("hash = ? AND grant_id IS NOT NULL", k.hash(code)))
	if err != nil || c == nil {
		return nil, err
	}
	return tx.Grant(*c.GrantID)
}

// TakeCode takes a free code of a reward's pool for a grant, or answers "" when there is none, or others are taking the last ones.
func (tx *Tx) TakeCode(reward, grant string) (string, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return "", err
	}
	c, err := one[rewardCode](tx.db.Clauses(skipLocked).Where("reward = ? AND grant_id IS NULL", reward).Order("hash").Limit(1))
	if err != nil || c == nil {
		return "", err
	}
	code, err := k.open(c.KeyID, c.Sealed, c.Hash)
	if err != nil {
		return "", err
	}
	return string(code), tx.db.Model(c).Update("grant_id", grant).Error
}

// AddCode stores a code that was made for a grant. It answers false when there is such a code already.
func (tx *Tx) AddCode(code, reward, grant string) (bool, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return false, err
	}
	row := k.row(code, reward, &grant)
	row.CreatedAt = tx.Now
	r := tx.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "hash"}}, DoNothing: true}).Create(&row)
	return r.RowsAffected > 0, r.Error
}

// PoolCodes adds free codes to a reward's pool and answers how many were new.
func (tx *Tx) PoolCodes(reward string, codes []string) (int64, error) {
	k, err := tx.codeKeys()
	if err != nil {
		return 0, err
	}
	rows := make([]rewardCode, len(codes))
	for i, c := range codes {
		rows[i] = k.row(c, reward, nil)
		rows[i].CreatedAt = tx.Now
	}
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, codeBatch)
	return r.RowsAffected, r.Error
}

// FreeCodes counts the free codes of a reward's pool, in an index that holds no others.
func (tx *Tx) FreeCodes(reward string) (int64, error) {
	return count[rewardCode](tx.db.Where("reward = ? AND grant_id IS NULL", reward))
}

// FreeCodesUpTo counts the free codes of a reward's pool no further than most, however many there are.
func (tx *Tx) FreeCodesUpTo(reward string, most int) (int64, error) {
	var n int64
	err := tx.db.Raw("SELECT count(*) FROM (SELECT 1 FROM reward_codes WHERE reward = ? AND grant_id IS NULL LIMIT ?) AS free", reward, most).Scan(&n).Error
	return n, err
}

// CodeReveal is a reading of a grant's whole code by somebody to whom it does not belong.
type CodeReveal struct {
	ID        string `gorm:"primaryKey"`
	GrantID   string
	Author    string
	Reason    string
	CreatedAt time.Time
}

// Reveal records who reads a grant's code and why, and answers the code; "" when it has none.
func (tx *Tx) Reveal(grant, author, reason string) (string, error) {
	r := CodeReveal{ID: punchcard.NewID(punchcard.PrefixReveal), GrantID: grant, Author: author, Reason: reason, CreatedAt: tx.Now}
	if err := tx.db.Create(&r).Error; err != nil {
		return "", err
	}
	return tx.CodeOf(grant)
}

// Reveals lists who has read a grant's code, oldest first.
func (tx *Tx) Reveals(grant string) ([]CodeReveal, error) {
	return list[CodeReveal](tx.db.Where("grant_id = ?", grant).Order("id"))
}
