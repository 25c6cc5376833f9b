package fence

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Properties of points.matured, points.expiring and points.expired.
const (
	propPoints    = "points"
	propBalance   = "balance"
	propExpiresOn = "expires_on"
)

// PassTime does what time does to a customer: points mature and expire, a tier that they no longer reach falls. It raises events of
// that, where listens says that somebody listens. The customer is locked.
func PassTime(tx *store.Tx, p *rules.Program, c *punchcard.Customer, listens func(event string) bool) error {
	account, err := tx.Account(c.ID)
	if err != nil {
		return err
	}
	tier, err := tierOf(tx, p, account)
	if err != nil {
		return err
	}
	if err := retier(tx, p, c, tier, 0, true); err != nil {
		return err
	}
	passed, err := tx.PassTime(c.ID)
	if err != nil {
		return err
	}
	for _, e := range []struct {
		name   string
		points int64
	}{
		{punchcard.EventPointsMatured, passed.Matured},
		{punchcard.EventPointsExpired, passed.Expired},
		{punchcard.EventPointsExpiring, passed.Expiring},
	} {
		if e.points == 0 || !listens(e.name) {
			continue
		}
		properties := map[string]any{propPoints: e.points, propBalance: passed.Balance}
		if e.name == punchcard.EventPointsExpiring {
			properties[propExpiresOn] = passed.ExpiresAt.In(Zone(p, c)).Format(time.DateOnly)
		}
		if err := Raise(tx, c.ID, e.name, properties, 0); err != nil {
			return err
		}
	}
	return nil
}

// Listens tells which events anything listens to: today's program, or a run of an older one that is still under way.
func (f *Fence) Listens(ctx context.Context) (func(event string) bool, error) {
	policy, err := f.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	programs := []*rules.Program{policy.Program}
	versions, err := f.Store.View(ctx).OpenVersions()
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v == builtinVersion || v == policy.Version {
			continue
		}
		p, err := f.Catalog.Program(ctx, v)
		if err != nil {
			return nil, err
		}
		programs = append(programs, p)
	}
	return func(event string) bool {
		for _, p := range programs {
			if p.Listens(event) {
				return true
			}
		}
		return false
	}, nil
}
