package store

import (
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// ScheduleSlot is how far one coming-round of a schedule has come, in one zone.
type ScheduleSlot struct {
	Journey   string `gorm:"primaryKey"`
	Entry     int    `gorm:"primaryKey"` // the place among the journey's ways in
	Zone      string `gorm:"primaryKey"`
	Slot      string `gorm:"primaryKey"` // 2006-01-02
	Cursor    string // the last customer that was looked at
	LookedAt  int64
	Entered   int64
	StartedAt time.Time
	EndedAt   *time.Time
}

// ScheduleSlot reads a slot, or nil when it has not begun.
func (tx *Tx) ScheduleSlot(journey string, entry int, zone, slot string) (*ScheduleSlot, error) {
	return one[ScheduleSlot](tx.db.Where("journey = ? AND entry = ? AND zone = ? AND slot = ?", journey, entry, zone, slot))
}

// LockSlot reads a slot and locks it, beginning it if need be; nil when another has it locked or it has ended.
func (tx *Tx) LockSlot(s ScheduleSlot) (*ScheduleSlot, error) {
	s.StartedAt = tx.Now
	if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&s).Error; err != nil {
		return nil, err
	}
	return one[ScheduleSlot](tx.db.Clauses(skipLocked).Where("journey = ? AND entry = ? AND zone = ? AND slot = ? AND ended_at IS NULL",
		s.Journey, s.Entry, s.Zone, s.Slot))
}

// SaveSlot writes how far a locked slot has come.
func (tx *Tx) SaveSlot(s *ScheduleSlot) error {
	// Not Save: with a key of which a part is zero, that would insert.
	return tx.db.Model(&ScheduleSlot{}).
		Where("journey = ? AND entry = ? AND zone = ? AND slot = ?", s.Journey, s.Entry, s.Zone, s.Slot).
		Updates(map[string]any{"cursor": s.Cursor, "looked_at": s.LookedAt, "entered": s.Entered, "ended_at": s.EndedAt}).Error
}

// Zones lists the zones that customers have, the empty one included if some have none.
func (tx *Tx) Zones() ([]string, error) {
	var zones []string
	err := tx.db.Model(&punchcard.Customer{}).Where("merged_into IS NULL").Distinct("zone").Order("zone").Pluck("zone", &zones).Error
	return zones, err
}

// CustomersInZone lists customers of a zone by id, after an id.
func (tx *Tx) CustomersInZone(zone, after string, limit int) ([]punchcard.Customer, error) {
	return list[punchcard.Customer](tx.db.Where("zone = ? AND id > ? AND merged_into IS NULL", zone, after).Order("id").Limit(limit))
}
