// Command apigen turns the API models in api/models into the packages of
// internal/awsapi/model, and the table of operations with the doors' comments
// into docs/compatibility.md.
//
//	go run ./tools/apigen               write everything, print the counts
//	go run ./tools/apigen --check       fail when something written is stale
//	go run ./tools/apigen fetch WHEEL   replace api/models from a botocore wheel
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("apigen", flag.ContinueOnError)
	check := flags.Bool("check", false, "write nothing; fail when a file is stale")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	switch {
	case flags.NArg() == 0:
		return generate(root, *check, out)
	case flags.NArg() == 2 && flags.Arg(0) == "fetch" && !*check:
		return fetch(root, flags.Arg(1), out)
	}
	return errors.New("usage: apigen [--check] | apigen fetch WHEEL")
}

// moduleRoot returns the directory of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// generate writes or checks every generated file.
func generate(root string, check bool, out io.Writer) error {
	files := map[string][]byte{}
	var all []*api
	for _, s := range services {
		m, err := load(root, s)
		if err != nil {
			return err
		}
		a, err := prepare(s, m)
		if err != nil {
			return err
		}
		if err := a.files(files); err != nil {
			return err
		}
		all = append(all, a)
	}
	page, err := compatibility(root, all)
	if err != nil {
		return err
	}
	files[filepath.Join("docs", "compatibility.md")] = page
	if err := write(root, files, check); err != nil {
		return err
	}
	printCounts(out, all)
	return nil
}

func (a *api) files(files map[string][]byte) error {
	dir := filepath.Join("internal", "awsapi", "model", a.Package)
	for _, f := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{"zz_types.go", a.typesFile}, {"zz_codec.go", a.codecFile}, {"zz_validate.go", a.validateFile},
		{"zz_ops.go", a.opsFile}, {"zz_errors.go", a.errorsFile},
	} {
		src, err := f.make()
		if err != nil {
			return fmt.Errorf("%s %s: %w", a.Package, f.name, err)
		}
		files[filepath.Join(dir, f.name)] = src
	}
	return nil
}

// write puts the files in their places, or reports those that differ.
func write(root string, files map[string][]byte, check bool) error {
	var stale []string
	for _, name := range sortedKeys(files) {
		path := filepath.Join(root, name)
		old, err := os.ReadFile(path)
		if err == nil && bytes.Equal(old, files[name]) {
			continue
		}
		if check {
			stale = append(stale, name)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("stale: %v; run go run ./tools/apigen", stale)
	}
	return nil
}

// printCounts prints what the models hold and what was made of it.
func printCounts(out io.Writer, all []*api) {
	var total counts
	fmt.Fprintf(out, "%-28s %10s %10s %8s %6s %7s %12s %9s %7s\n",
		"service", "operations", "structures", "members", "enums", "errors", "constrained", "required", "events")
	for _, a := range all {
		c := a.counts()
		c.print(out, a.Package)
		total.add(c)
	}
	total.print(out, "total")
}

type counts struct{ ops, structures, members, enums, errors, constrained, required, events int }

func (a *api) counts() counts {
	c := counts{ops: len(a.ops)}
	for _, sh := range a.model.Shapes {
		if sh.Type == "structure" {
			c.structures++
			c.members += len(sh.Members)
			c.required += len(sh.Required)
		}
		if sh.Enum != nil {
			c.enums++
		}
		if sh.Exception {
			c.errors++
		}
		if sh.EventStream {
			c.events++
		}
		if sh.Min != nil || sh.Max != nil || sh.Pattern != "" || sh.Enum != nil {
			c.constrained++
		}
	}
	return c
}

func (c *counts) add(o counts) {
	c.ops += o.ops
	c.structures += o.structures
	c.members += o.members
	c.enums += o.enums
	c.errors += o.errors
	c.constrained += o.constrained
	c.required += o.required
	c.events += o.events
}

func (c counts) print(out io.Writer, name string) {
	fmt.Fprintf(out, "%-28s %10d %10d %8d %6d %7d %12d %9d %7d\n",
		name, c.ops, c.structures, c.members, c.enums, c.errors, c.constrained, c.required, c.events)
}
