package store

import (
	"time"

	"gorm.io/gorm/clause"
)

// SendRate is what paces the sends of a number, or of an account that has several. Times are microseconds of the database's own
// clock, which is one for all workers.
type SendRate struct {
	Name     string `gorm:"primaryKey"`
	Lanes    []byte // from when each lane is free: eight bytes each, the first the highest
	Turn     int64  // the latest that was given to marketing
	KeptTurn int64  // the latest that was given to what is not marketing
	Line     int64  // when the last marketing message that was told to come back will have its turn
	KeptLine int64  // the same of what is not marketing
	Level    int    // how often WhatsApp said too many: the rate halves with each
	LevelAt  int64
	Paused   int64 // until when nobody has a turn
}

// LockRate reads and locks the line of that name, and the database's time, in microseconds. A line that is not there is begun.
func (tx *Tx) LockRate(name string) (*SendRate, int64, error) {
	for {
		r, now, err := tx.lockRate(name)
		if err != nil || r != nil {
			return r, now, err
		}
		fresh := SendRate{Name: name, Lanes: []byte{}}
		if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh).Error; err != nil {
			return nil, 0, err
		}
	}
}

func (tx *Tx) lockRate(name string) (*SendRate, int64, error) {
	if tx.store.dialect == SQLite {
		r, err := one[SendRate](tx.db.Where("name = ?", name))
		return r, time.Now().UnixMicro(), err
	}
	var row struct {
		SendRate

		Micros int64
	}
	// The time is that after the lock: a list that is selected beside FOR UPDATE is computed before it is waited for. The commit need
	// not reach the disk: what a crash forgets is over before the database is back.
	r := tx.db.Raw(`SELECT locked.*, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros,
		set_config('synchronous_commit', 'off', true)
		FROM (SELECT * FROM send_rates WHERE name = ? FOR NO KEY UPDATE) locked`, name).Scan(&row)
	if r.Error != nil || r.RowsAffected == 0 {
		return nil, 0, r.Error
	}
	return &row.SendRate, row.Micros, nil
}

// PausedUntil is until when a line is paused, in the database's microseconds; 0 for one that is not there.
func (tx *Tx) PausedUntil(name string) (int64, error) {
	var paused int64
	err := tx.db.Model(&SendRate{}).Select("paused").Where("name = ?", name).Scan(&paused).Error
	return paused, err
}

// SaveRate writes a line that is locked.
func (tx *Tx) SaveRate(r *SendRate) error {
	if r.Lanes == nil { // as SQLite reads a line that nobody has taken a turn of
		r.Lanes = []byte{}
	}
	return tx.db.Save(r).Error
}
