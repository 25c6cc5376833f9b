// Package migrations holds the schema, written by hand for PostgreSQL and for SQLite under the same numbers.
package migrations

import "embed"

// FS holds postgres/ and sqlite/.
//
//go:embed postgres/*.sql sqlite/*.sql
var FS embed.FS
