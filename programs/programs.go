// Package programs holds programs that are ready to run.
package programs

import (
	"embed"
	"io/fs"
)

//go:embed all:coffee all:employee-recognition all:e-learning all:membership all:shop
var files embed.FS

// Coffee is the folder of the program that a server without one of its own runs.
func Coffee() fs.FS { return folder("coffee") }

// All are the programs' folders by name: coffee, employee-recognition, e-learning, membership and shop.
func All() map[string]fs.FS {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // the files are embedded: there is nothing that can fail
	}
	all := make(map[string]fs.FS, len(entries))
	for _, e := range entries {
		all[e.Name()] = folder(e.Name())
	}
	return all
}

func folder(name string) fs.FS {
	sub, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the folder is embedded: its name is the only thing that can be wrong
	}
	return sub
}
