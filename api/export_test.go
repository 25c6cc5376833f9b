package api

import "net/http"

// Route is a line of the table as tests see it.
type Route struct {
	Method, Path, Pattern string
	Public                bool
}

// Routes builds an API and answers what the router really has, with the table's permission of each.
func Routes(o Options) (http.Handler, []Route) {
	b := build(o)
	table := map[string]route{}
	for _, r := range b.routes {
		table[r.method+" "+r.ginPath()] = r
	}
	var all []Route
	for _, r := range b.engine.Routes() {
		line := table[r.Method+" "+r.Path]
		all = append(all, Route{Method: r.Method, Path: line.path, Pattern: r.Path, Public: line.permission == public})
	}
	return b.engine, all
}
