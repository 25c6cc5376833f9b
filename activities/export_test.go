package activities

import "time"

// Began is when the turn's call was found to be in time.
func (t *Turn) Began() time.Time { return t.began }
