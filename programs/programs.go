// Package programs holds programs that are ready to run.
package programs

import (
	"embed"
	"io/fs"
)

//go:embed all:coffee
var files embed.FS

// Coffee is the folder of the program that a server without one of its own runs.
func Coffee() fs.FS {
	sub, err := fs.Sub(files, "coffee")
	if err != nil {
		panic(err) // the folder is embedded: its name is the only thing that can be wrong
	}
	return sub
}
