package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"thalweg/internal/errs"
)

// Sources is where Load looks. The zero value is nowhere.
type Sources struct {
	// Flags are the flags given, name to text.
	Flags map[string]string
	// Env looks a variable up; nil is an empty environment.
	Env Env
	// File is the YAML file's path; empty is the one THALWEG_CONFIG names, if any.
	File string
}

// maxFile is far more than every setting at its longest.
const maxFile = 1 << 20

// Load returns the defaults overlaid by the file, the environment and the
// flags, in that order, validated. Errors are of kind Invalid and name the
// source.
func Load(src Sources) (Config, error) {
	env := src.Env
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	c := Default(env)
	settings := c.Settings()

	file := src.File
	if file == "" {
		file, _ = env(EnvPrefix + "CONFIG")
	}
	if file != "" {
		if err := loadFile(settings, file); err != nil {
			return c, err
		}
	}
	for _, s := range settings {
		if v, ok := env(s.Env()); ok && v != "" {
			if err := s.Value.Set(v); err != nil {
				return c, invalid(s.Env(), err)
			}
		}
	}
	for name, v := range src.Flags {
		s, ok := find(settings, name)
		if !ok {
			return c, invalid("--"+name, errors.New("no such setting"))
		}
		if err := s.Value.Set(v); err != nil {
			return c, invalid("--"+name, err)
		}
	}
	return c, c.Validate()
}

func invalid(where string, err error) error {
	return errs.Wrap(errs.Invalid, where, err)
}

func find(settings []Setting, name string) (Setting, bool) {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return settings[i], true
}

func loadFile(settings []Setting, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return errs.Wrap(errs.Invalid, "read configuration", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return errs.Wrap(errs.Invalid, "read configuration", err)
	}
	if len(b) > maxFile {
		return invalid(name, fmt.Errorf("larger than %v", Size(maxFile)))
	}
	return parseFile(settings, name, b)
}

// parseFile applies one YAML mapping of setting names to scalars or lists of
// scalars. Errors name the line.
func parseFile(settings []Setting, name string, b []byte) error {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return invalid(name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return invalid(name, errors.New("more than one document"))
	}
	root := &doc
	if root.Kind == yaml.DocumentNode {
		root = root.Content[0]
	}
	if root.Kind != yaml.MappingNode {
		return invalid(fmt.Sprintf("%s:%d", name, root.Line), errors.New("not a mapping of settings"))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, val := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d: %s", name, key.Line, key.Value)
		s, ok := find(settings, key.Value)
		switch {
		case !ok:
			err := &errs.Error{Kind: errs.Invalid, Op: where, Msg: "no such setting"}
			if near := Nearest(key.Value, names(settings)); near != "" {
				err.Hint = "did you mean " + near + "?"
			}
			return err
		case seen[key.Value]:
			return invalid(where, errors.New("set twice"))
		}
		seen[key.Value] = true
		text, err := scalar(val)
		if err == nil {
			err = s.Value.Set(text)
		}
		if err != nil {
			return invalid(where, err)
		}
	}
	return nil
}

// scalar returns a value's text; a list's parts are joined by commas.
func scalar(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", errors.New("no value")
		}
		return n.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, len(n.Content))
		for i, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return "", errors.New("a list of plain values is needed")
			}
			parts[i] = c.Value
		}
		return strings.Join(parts, ","), nil
	default:
		return "", errors.New("a plain value is needed")
	}
}

func names(settings []Setting) []string {
	out := make([]string, len(settings))
	for i, s := range settings {
		out[i] = s.Name
	}
	return out
}

// Nearest returns the candidate that a typing mistake most likely meant: at most
// two edits away, or one in three letters. It returns "" when there is none.
func Nearest(word string, candidates []string) string {
	best, bestDist := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDist {
			best, bestDist = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
