package fence

import (
	"context"
	"fmt"
	"sync"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Catalog gives published programs, compiled. It is safe for concurrent use.
type Catalog struct {
	store *store.Store

	mu      sync.Mutex
	byVer   map[int]Published
	current int
	checked time.Time
}

// How old the knowledge of the newest version may be, in machine time: another process may have published.
const currentFor = time.Second

// NewCatalog is a catalog of what is published in s.
func NewCatalog(s *store.Store) *Catalog {
	return &Catalog{store: s, byVer: map[int]Published{}}
}

// Published is a program with its version's number.
type Published struct {
	*rules.Program
	Version     int
	PublishedAt time.Time
}

// Current is the newest program: today's policy, and what new runs start with. The error is CodeUnavailable when none is
// published.
func (c *Catalog) Current(ctx context.Context) (Published, error) {
	c.mu.Lock()
	version, fresh := c.current, time.Since(c.checked) < currentFor
	c.mu.Unlock()
	if !fresh || version == 0 {
		v, err := c.store.View(ctx).LatestVersion()
		if err != nil {
			return Published{}, err
		}
		if v == 0 {
			return Published{}, punchcard.Errorf(punchcard.CodeUnavailable, "no program is published yet: run `punchcard program apply DIR`")
		}
		c.mu.Lock()
		version, c.current, c.checked = v, v, time.Now()
		c.mu.Unlock()
	}
	p, err := c.published(ctx, version)
	return p, err
}

// Refresh makes the next Current look into the database.
func (c *Catalog) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = time.Time{}
}

// Program is the program of a version.
func (c *Catalog) Program(ctx context.Context, version int) (*rules.Program, error) {
	p, err := c.published(ctx, version)
	return p.Program, err
}

func (c *Catalog) published(ctx context.Context, version int) (Published, error) {
	c.mu.Lock()
	p, known := c.byVer[version]
	c.mu.Unlock()
	if known {
		return p, nil
	}
	row, err := c.store.View(ctx).Program(version)
	if err != nil {
		return Published{}, err
	}
	if row == nil {
		return Published{}, fmt.Errorf("program version %d is not in the database", version)
	}
	program, problems := rules.LoadPublished(row.Files)
	if program == nil {
		return Published{}, fmt.Errorf("program version %d does not compile any more: %w", version, problems)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if have, known := c.byVer[version]; known {
		return have, nil
	}
	p = Published{Program: program, Version: version, PublishedAt: row.PublishedAt}
	c.byVer[version] = p
	return p, nil
}

// builtinVersion is the version of runs of built-in journeys, which belong to no program.
const builtinVersion = 0

var replyJourney = rules.ReplyJourney()

// Journey is a run's journey and the program that it is pinned to. Built-in journeys speak with today's program.
func (c *Catalog) Journey(ctx context.Context, version int, name string) (*rules.Program, *rules.Journey, error) {
	if version == builtinVersion {
		if name != punchcard.BuiltinReply {
			return nil, nil, fmt.Errorf("there is no built-in journey %q", name)
		}
		p, err := c.Current(ctx)
		return p.Program, replyJourney, err
	}
	p, err := c.Program(ctx, version)
	if err != nil {
		return nil, nil, err
	}
	j := p.Journeys[name]
	if j == nil {
		return nil, nil, fmt.Errorf("program version %d has no journey %q", version, name)
	}
	return p, j, nil
}

// Publish makes a program the newest version, and answers its number; fresh tells whether it differs from the one before.
func (c *Catalog) Publish(ctx context.Context, p *rules.Program) (version int, fresh bool, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		version, fresh, err = tx.Publish(p.Hash, p.Files)
		return err
	})
	if err == nil {
		c.Refresh()
	}
	return version, fresh, err
}
