package lint

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

// ban forbids names of a package outside of some places.
type ban struct {
	pkg    string   // import path; "" for a builtin
	names  []string // nil is every name
	except []string // names that are fine when names is nil
	in     []string // directories and files where it is allowed
	tests  bool     // allowed in tests
	reason string
}

var bans = []ban{
	{pkg: "time", names: []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
		in: []string{"internal/clock", "tools"}, tests: true,
		reason: "time comes from a clock.Clock, so that tests and simulations decide what time it is"},
	{pkg: "time", names: []string{"Sleep"},
		reason: "a sleep guesses; wait for what must happen, or use a manual clock"},
	{pkg: "os", names: []string{
		"Chdir", "Chmod", "Chown", "Chtimes", "CopyFS", "Create", "CreateTemp", "DirFS", "Lchown", "Link", "Lstat", "Mkdir",
		"MkdirAll", "MkdirTemp", "NewFile", "Open", "OpenFile", "OpenInRoot", "OpenRoot", "ReadDir", "ReadFile", "Readlink",
		"Remove", "RemoveAll", "Rename", "Stat", "Symlink", "Truncate", "WriteFile"},
		in: []string{"internal/vfs", "internal/config", "internal/cli", "cmd", "tools"}, tests: true,
		reason: "files are reached through vfs.FS, so that crash tests see every call"},
	{pkg: "os", names: []string{"Getenv", "LookupEnv", "Environ", "Setenv", "Unsetenv", "ExpandEnv", "Clearenv"},
		in: []string{"internal/config", "internal/cli", "cmd", "tools"}, tests: true,
		reason: "the environment is read in one place, where it is documented"},
	{pkg: "os", names: []string{"Exit"}, in: []string{"cmd", "tools"}, tests: true,
		reason: "only a main ends the process; everything else returns an error"},
	{pkg: "log", tests: true, reason: "log with slog and the Logger that was handed in"},
	{pkg: "io/ioutil", reason: "use io and os"},
	{pkg: "math/rand", reason: "use math/rand/v2 with a source that was handed in, so that a seed repeats a run"},
	{pkg: "math/rand/v2", except: []string{
		"New", "NewPCG", "NewChaCha8", "NewZipf", "PCG", "ChaCha8", "Rand", "Source", "Zipf"},
		in: []string{"internal/ids/request.go", "internal/client", "internal/demo", "internal/cli", "tools"}, tests: true,
		reason: "randomness comes from a source that was handed in, so that a seed repeats a run"},
	{names: []string{"panic"}, in: []string{"internal/invariants", "internal/awsapi/server.go", "internal/awsapi/write.go"}, tests: true,
		reason: "return an error; a broken invariant goes through invariants.Check (awsapi passes on http.ErrAbortHandler, net/http's own)"},
	{names: []string{"print", "println"}, reason: "log with slog"},
}

func checkCalls(files []*File, report func(*File, int, string)) {
	for _, f := range handWritten(files) {
		imported := importNames(f.Go)
		for _, b := range bans {
			if f.Within(b.in...) || slices.Contains(b.in, f.Path) || b.tests && f.Test() {
				continue
			}
			b.check(f, imported, report)
		}
	}
}

// importNames maps the name a file uses for a package to its path.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if name == "v2" {
			name = "rand" // math/rand/v2, the only one of its sort among the bans
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

func (b ban) check(f *File, imported map[string]string, report func(*File, int, string)) {
	ast.Inspect(f.Go, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && b.pkg != "" && imported[x.Name] == b.pkg && x.Obj == nil && b.hits(n.Sel.Name) {
				report(f, f.line(n.Pos()), b.pkg+"."+n.Sel.Name+": "+b.reason)
			}
		case *ast.CallExpr:
			id, ok := n.Fun.(*ast.Ident)
			if ok && b.pkg == "" && id.Obj == nil && b.hits(id.Name) {
				report(f, f.line(n.Pos()), id.Name+": "+b.reason)
			}
		}
		return true
	})
}

func (b ban) hits(name string) bool {
	if b.names == nil {
		return !slices.Contains(b.except, name)
	}
	return slices.Contains(b.names, name)
}

// goAllowed are the files outside lifecycle that may use a go statement.
var goAllowed = map[string]string{}

func checkGoroutines(files []*File, report func(*File, int, string)) {
	for _, f := range handWritten(files) {
		if f.Test() || f.Within("internal/lifecycle", "tools") || goAllowed[f.Path] != "" {
			continue
		}
		ast.Inspect(f.Go, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				report(f, f.line(g.Pos()), "a goroutine that nobody waits for leaks; start it through lifecycle.Group, "+
					"or list the file in goAllowed with the reason")
			}
			return true
		})
	}
}
