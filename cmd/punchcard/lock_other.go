//go:build !unix

package main

// lockFile takes no lock where the system has none that ends with the process: there the ports keep two apart.
func lockFile(string) (unlock func() error, err error) { return func() error { return nil }, nil }
