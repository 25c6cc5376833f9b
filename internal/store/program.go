package store

import (
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// Program is a published program: its files, under a number and a hash of their content.
type Program struct {
	Version     int `gorm:"primaryKey"`
	Hash        string
	Files       map[string]string `gorm:"serializer:json"`
	PublishedAt time.Time
}

// Program reads a version, or nil.
func (tx *Tx) Program(version int) (*Program, error) {
	return one[Program](tx.db.Where("version = ?", version))
}

// LatestProgram reads the newest version, or nil when none was published.
func (tx *Tx) LatestProgram() (*Program, error) {
	return one[Program](tx.db.Order("version DESC").Limit(1))
}

// LatestVersion is the newest version's number, 0 when none was published.
func (tx *Tx) LatestVersion() (int, error) {
	var v int
	err := tx.db.Model(&Program{}).Select("COALESCE(MAX(version), 0)").Scan(&v).Error
	return v, err
}

// Publish stores files as the newest version and answers its number. Files that the newest version has already change
// nothing and answer that number.
func (tx *Tx) Publish(hash string, files map[string]string) (version int, fresh bool, err error) {
	latest, err := tx.LatestProgram()
	if err != nil {
		return 0, false, err
	}
	version = 1
	if latest != nil {
		if latest.Hash == hash {
			return latest.Version, false, nil
		}
		version = latest.Version + 1
	}
	err = tx.db.Create(&Program{Version: version, Hash: hash, Files: files, PublishedAt: tx.Now}).Error
	if isDuplicate(err) {
		return 0, false, fmt.Errorf("another program was published meanwhile: %w", ErrTryAgain)
	}
	return version, true, err
}

// setting is one line of what this deployment is.
type setting struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

// Setting reads a setting, "" when it is not set.
func (tx *Tx) Setting(name string) (string, error) {
	row, err := one[setting](tx.db.Where("name = ?", name))
	if err != nil || row == nil {
		return "", err
	}
	return row.Value, nil
}

// SetSetting writes a setting.
func (tx *Tx) SetSetting(name, value string) error {
	return tx.db.Save(&setting{Name: name, Value: value}).Error
}

// Switch is something an operator has paused or stopped: it is off while the row is there.
type Switch struct {
	Kind   SwitchKind `gorm:"primaryKey"`
	Name   string     `gorm:"primaryKey"`
	Reason string
	At     time.Time
}

// SwitchKind says what a switch is for.
type SwitchKind string

// The kinds of switch.
const (
	SwitchJourney  SwitchKind = "journey" // its runs are held
	SwitchEntry    SwitchKind = "entry"   // it takes no new runs
	SwitchTemplate SwitchKind = "template"
	SwitchReward   SwitchKind = "reward"
)

// Off tells whether something is paused or stopped.
func (tx *Tx) Off(kind SwitchKind, name string) (bool, error) {
	var n int64
	err := tx.db.Model(&Switch{}).Where("kind = ? AND name = ?", kind, name).Count(&n).Error
	return n > 0, err
}

// Paused tells whether a journey is paused. On PostgreSQL the switch stays as it is until this transaction ends, so that
// whoever resumes the journey finds every run that this transaction holds.
func (tx *Tx) Paused(journey string) (bool, error) {
	row, err := one[Switch](tx.db.Clauses(clause.Locking{Strength: "SHARE"}).Where("kind = ? AND name = ?", SwitchJourney, journey))
	return row != nil, err
}

// SwitchOff pauses or stops something. It is no error when it is off already.
func (tx *Tx) SwitchOff(kind SwitchKind, name, reason string) error {
	return tx.db.Save(&Switch{Kind: kind, Name: name, Reason: reason, At: tx.Now}).Error
}

// SwitchOn lets it go on.
func (tx *Tx) SwitchOn(kind SwitchKind, name string) error {
	return tx.db.Where("kind = ? AND name = ?", kind, name).Delete(&Switch{}).Error
}

// APIKey is a key to the API. Only a hash of its secret is kept.
type APIKey struct {
	ID        string `gorm:"primaryKey"`
	Name      string
	Hash      string
	CreatedAt time.Time
	RevokedAt *time.Time
}

// AddAPIKey stores a key.
func (tx *Tx) AddAPIKey(k *APIKey) error {
	k.CreatedAt = tx.Now
	return tx.db.Create(k).Error
}

// APIKeyByHash reads the key with that hash that is not revoked, or nil.
func (tx *Tx) APIKeyByHash(hash string) (*APIKey, error) {
	return one[APIKey](tx.db.Where("hash = ? AND revoked_at IS NULL", hash))
}

// APIKeys lists all keys, oldest first.
func (tx *Tx) APIKeys() ([]APIKey, error) {
	return list[APIKey](tx.db.Order("created_at, id"))
}

// RevokeAPIKey ends a key. The error is CodeNotFound when there is none with that id.
func (tx *Tx) RevokeAPIKey(id string) error {
	r := tx.db.Model(&APIKey{}).Where("id = ? AND revoked_at IS NULL", id).Update("revoked_at", tx.Now)
	if r.Error == nil && r.RowsAffected == 0 {
		_, err := must[APIKey](nil, nil, "key")
		return err
	}
	return r.Error
}

// IdempotencyKey is the answer that was given to a request that bore a key.
type IdempotencyKey struct {
	Key         string `gorm:"primaryKey"`
	Route       string `gorm:"primaryKey"`
	RequestHash string
	Status      int
	Body        string
	At          time.Time
}

// IdempotentAnswer reads the answer given under a key, or nil.
func (tx *Tx) IdempotentAnswer(key, route string) (*IdempotencyKey, error) {
	return one[IdempotencyKey](tx.db.Where("key = ? AND route = ?", key, route))
}

// KeepAnswer stores the answer given under a key, in the transaction of what it answers. It answers false when another
// request with that key was faster: then nothing of this transaction may be committed.
func (tx *Tx) KeepAnswer(k *IdempotencyKey) (bool, error) {
	k.At = tx.Now
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(k)
	return r.RowsAffected > 0, r.Error
}

// Programs lists what was published, newest first, without the files.
func (tx *Tx) Programs() ([]Program, error) {
	return list[Program](tx.db.Select("version", "hash", "published_at").Order("version DESC"))
}

// Switches lists what is paused or stopped.
func (tx *Tx) Switches() ([]Switch, error) {
	return list[Switch](tx.db.Order("kind, name"))
}
