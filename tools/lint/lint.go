// Package lint holds the rules of this repository as Go tests: go test
// ./tools/lint is the whole gate and needs no other program.
//
// A rule is a function from files to findings. Each says why it exists in what
// it reports, and each has a test with a source that it must flag.
package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Module is the module's path, the prefix of every import of our own.
const Module = "thalweg"

// File is one file of the repository.
type File struct {
	Path      string // slash-separated, from the root
	Src       []byte
	Go        *ast.File // nil unless it is a Go file
	Generated bool
	fset      *token.FileSet
}

// Finding is one breach of a rule.
type Finding struct {
	Path   string
	Line   int
	Rule   string
	Reason string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.Path, f.Line, f.Rule, f.Reason)
}

// Rule finds breaches in files.
type Rule struct {
	Name  string
	Check func(files []*File, report func(f *File, line int, reason string))
}

// Rules are all rules.
var Rules = []Rule{
	{"imports", checkImports},
	{"dependencies", checkDependencies},
	{"package-comment", checkPackageComments},
	{"file-size", checkFileSize},
	{"function-length", checkFunctionLength},
	{"generated", checkGenerated},
	{"calls", checkCalls},
	{"goroutines", checkGoroutines},
	{"globals", checkGlobals},
	{"init", checkInit},
	{"gofmt", checkGofmt},
	{"ascii", checkASCII},
	{"words", checkWords},
	{"unfinished", checkUnfinished},
}

// Run applies every rule and returns the findings by path and line.
func Run(files []*File) []Finding {
	found := make([][]Finding, len(Rules))
	var wg sync.WaitGroup
	for i, r := range Rules {
		wg.Go(func() { found[i] = r.run(files) })
	}
	wg.Wait()
	all := slices.Concat(found...)
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return all
}

func (r Rule) run(files []*File) []Finding {
	var out []Finding
	r.Check(files, func(f *File, line int, reason string) {
		out = append(out, Finding{Path: f.Path, Line: line, Rule: r.Name, Reason: reason})
	})
	return out
}

var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// NewFile parses one file. A Go file that does not parse is an error.
func NewFile(name string, src []byte) (*File, error) {
	f := &File{Path: name, Src: src, fset: token.NewFileSet()}
	if path.Ext(name) != ".go" {
		return f, nil
	}
	head := src
	if i := bytes.Index(src, []byte("\npackage ")); i >= 0 {
		head = src[:i+1]
	}
	f.Generated = generatedLine.Match(head)
	mode := parser.ParseComments
	if f.Generated {
		mode |= parser.ImportsOnly
	}
	var err error
	f.Go, err = parser.ParseFile(f.fset, name, src, mode)
	return f, err
}

// Load reads every file that belongs to the repository at root: what git tracks
// or would track, or, without git, everything that is not hidden.
func Load(root string) ([]*File, error) {
	names, err := list(root)
	if err != nil {
		return nil, err
	}
	files := make([]*File, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, name := range names {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			src, err := os.ReadFile(filepath.Join(root, name))
			if errors.Is(err, fs.ErrNotExist) {
				return // tracked, and removed in the working tree
			}
			if err == nil {
				files[i], err = NewFile(name, src)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	files = slices.DeleteFunc(files, func(f *File) bool { return f == nil })
	return files, errors.Join(errs...)
}

func list(root string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(root, ".git")); err == nil {
		out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
		if err == nil {
			names := strings.Split(strings.Trim(string(out), "\x00"), "\x00")
			slices.Sort(names)
			return slices.Compact(names), nil
		}
	}
	var names []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" ||
			slices.Contains([]string{"bin", "node_modules", "target", "__pycache__"}, d.Name())) {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	return names, err
}

// Dir is the directory, "." for the root.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Within reports whether the file lies in one of the directories or below.
func (f *File) Within(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return within(f.Dir(), dir) })
}

func within(dir, top string) bool { return dir == top || strings.HasPrefix(dir, top+"/") }

// Test reports whether the file is part of a test and in no program: a _test.go
// file, the black-box tests, the benchmarks, a conformance suite.
func (f *File) Test() bool {
	return strings.HasSuffix(f.Path, "_test.go") || f.Within("tests", "bench") ||
		slices.Contains(suites, f.Dir())
}

// suites are the packages that other packages' tests run.
var suites = []string{"internal/log/logtest", "internal/objstore/objtest", "internal/meta/metatest"}

func (f *File) line(p token.Pos) int { return f.fset.Position(p).Line }

// handWritten yields the Go files that people edit.
func handWritten(files []*File) []*File {
	var out []*File
	for _, f := range files {
		if f.Go != nil && !f.Generated {
			out = append(out, f)
		}
	}
	return out
}
