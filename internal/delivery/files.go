package delivery

import (
	"io"

	"thalweg/internal/delivery/dest"
)

// Files keeps the records of plans that are set aside, and scratch files. What is in
// them is secret: they are stored encrypted. It is safe for concurrent use.
type Files interface {
	// Create begins the file of that name. It is there, durably, once Commit has
	// returned nil, and not before; Abort leaves none.
	Create(name string) (File, error)
	// Open returns a file for reading; fs.ErrNotExist if there is none.
	Open(name string) (io.ReadSeekCloser, error)
	// Remove removes a file; one that is not there is no error.
	Remove(name string) error
	// List returns the names of all files.
	List() ([]string, error)
	// Scratch makes a file without a name.
	Scratch() (dest.Scratch, error)
}

// File is a file in the making.
type File interface {
	io.Writer
	Commit() error
	Abort()
}
