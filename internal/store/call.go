package store

import "time"

// CallAnswer is what another system answered to a run's step.
type CallAnswer struct {
	RunID   string `gorm:"primaryKey"`
	Step    int    `gorm:"primaryKey"`
	Call    string
	Answers map[string]any `gorm:"serializer:json"`
	At      time.Time
}

// AddCallAnswer keeps what another system answered.
func (tx *Tx) AddCallAnswer(a *CallAnswer) error {
	a.At = tx.Now
	return tx.db.Create(a).Error
}

// CallAnswer reads what another system answered to a run's step, or nil.
func (tx *Tx) CallAnswer(run string, step int) (*CallAnswer, error) {
	return one[CallAnswer](tx.db.Where("run_id = ? AND step = ?", run, step))
}
