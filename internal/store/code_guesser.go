package store

import (
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// CodeGuesser is who asks for codes, and how many unknown ones it has asked for since its window began.
type CodeGuesser struct {
	Name   string `gorm:"primaryKey"`
	Since  time.Time
	Misses int64
}

// LockGuesser reads and locks who asks for codes. One whose window is over begins anew. Several are locked in the order of their names.
func (tx *Tx) LockGuesser(name string, window time.Duration) (*CodeGuesser, error) {
	g, err := one[CodeGuesser](tx.db.Clauses(lock).Where("name = ?", name))
	if err != nil {
		return nil, err
	}
	if g == nil {
		if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&CodeGuesser{Name: name, Since: tx.Now}).Error; err != nil {
			return nil, err
		}
		if g, err = one[CodeGuesser](tx.db.Clauses(lock).Where("name = ?", name)); err != nil {
			return nil, err
		}
		if g == nil {
			return nil, fmt.Errorf("who asks for codes is gone: %w", ErrTryAgain)
		}
	}
	if !g.Since.Add(window).After(tx.Now) {
		g.Since, g.Misses = tx.Now, 0
	}
	return g, nil
}

// SaveGuesser writes who asks for codes, and is locked.
func (tx *Tx) SaveGuesser(g *CodeGuesser) error { return tx.db.Save(g).Error }

// PruneGuessers forgets those whose window began before a moment.
func (tx *Tx) PruneGuessers(before time.Time) error {
	return tx.db.Where("since < ?", before).Delete(&CodeGuesser{}).Error
}
