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

// PassTime does what time does to customers: points mature and expire, a tier that they no longer reach falls. It raises events of
// that, where listens says that somebody listens. How many statements it takes does not depend on how many customers they are. They
// are locked.
func PassTime(tx *store.Tx, p *rules.Program, customers []punchcard.Customer, listens func(event string) bool) error {
	if len(customers) == 0 {
		return nil
	}
	ids := make([]string, len(customers))
	for i := range customers {
		ids[i] = customers[i].ID
	}
	var events []*punchcard.Event
	passed, err := tx.PassTime(ids, func(accounts []*punchcard.Points) error {
		tiers, err := tiersOf(tx, p, accounts)
		if err != nil {
			return err
		}
		events, err = retier(tx, p, accounts, tiers, 0, true)
		return err
	})
	if err != nil {
		return err
	}
	for i := range customers {
		events = append(events, passedEvents(tx, p, &customers[i], passed[i], listens)...)
	}
	return tx.AddEvents(events...)
}

// passedEvents are those of what time has done to a customer's points that somebody listens to.
func passedEvents(tx *store.Tx, p *rules.Program, c *punchcard.Customer, passed store.Passed, listens func(event string) bool) []*punchcard.Event {
	var events []*punchcard.Event
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
		events = append(events, raised(tx, c.ID, e.name, properties, 0))
	}
	return events
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
