package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// fetch takes the models out of a botocore wheel into api/models, without their
// documentation text, and writes PROVENANCE.md.
func fetch(root, wheel string, out io.Writer) error {
	raw, err := os.ReadFile(wheel)
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return fmt.Errorf("open %s: %w", wheel, err)
	}
	dir := filepath.Join(root, "api", "models")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var rows strings.Builder
	for _, s := range services {
		name, doc, err := newest(archive, s.Model)
		if err != nil {
			return err
		}
		m, err := parseObject(name, doc)
		if err != nil {
			return err
		}
		if err := prune(m, s.Only); err != nil {
			return fmt.Errorf("%s: %w", s.Model, err)
		}
		stripped, err := json.MarshalIndent(strip(m), "", " ")
		if err != nil {
			return fmt.Errorf("write %s: %w", s.Model, err)
		}
		if err := os.WriteFile(filepath.Join(dir, s.Model+".json"), append(stripped, '\n'), 0o644); err != nil {
			return err
		}
		ops, _ := m["operations"].(map[string]any)
		shapes, _ := m["shapes"].(map[string]any)
		sum := sha256.Sum256(doc)
		fmt.Fprintf(&rows, "| %s | %s | %d | %d | `%s` |\n", s.Model, path.Base(path.Dir(name)), len(ops), len(shapes), hex.EncodeToString(sum[:]))
		fmt.Fprintf(out, "%s: %d operations, %d shapes\n", s.Model, len(ops), len(shapes))
	}
	sum := sha256.Sum256(raw)
	text := fmt.Sprintf(provenance, filepath.Base(wheel), hex.EncodeToString(sum[:]), rows.String())
	return os.WriteFile(filepath.Join(dir, "PROVENANCE.md"), []byte(text), 0o644)
}

const provenance = `# Where the models come from

The files here are the facts of AWS's API models (names, shapes, members,
constraints, errors, HTTP bindings) as shipped in the botocore package on PyPI,
written by ` + "`go run ./tools/apigen fetch WHEEL`" + ` with the documentation text removed
and the keys sorted. Of dynamodb, glue, cloudwatch and sts only the operations that client
libraries of the streaming services call are kept, with their shapes; the checksum
is that of the whole model.

- Package: ` + "`%s`" + `
- SHA-256 of the package: ` + "`%s`" + `
- Licence: Apache-2.0, Copyright Amazon.com, Inc. or its affiliates

| model | API version | operations | shapes | SHA-256 of service-2.json |
|---|---|---|---|---|
%s`

// newest returns the model of the highest API version in the archive.
func newest(archive *zip.Reader, service string) (name string, doc []byte, err error) {
	prefix := "botocore/data/" + service + "/"
	var found *zip.File
	for _, f := range archive.File {
		base := path.Base(f.Name)
		if strings.HasPrefix(f.Name, prefix) && (base == "service-2.json" || base == "service-2.json.gz") &&
			(found == nil || f.Name > found.Name) {
			found = f
		}
	}
	if found == nil {
		return "", nil, fmt.Errorf("no model of %s in the wheel", service)
	}
	r, err := found.Open()
	if err != nil {
		return "", nil, fmt.Errorf("open %s: %w", found.Name, err)
	}
	defer r.Close()
	doc, err = io.ReadAll(r)
	if err == nil && strings.HasSuffix(found.Name, ".gz") {
		doc, err = gunzip(doc)
	}
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", found.Name, err)
	}
	return found.Name, doc, nil
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// parseObject reads a JSON object and keeps its numbers as they are written.
func parseObject(name string, raw []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return m, nil
}

// prune leaves of a model the operations in only, and the shapes that they refer
// to; nil is everything.
func prune(m map[string]any, only []string) error {
	if only == nil {
		return nil
	}
	all, _ := m["operations"].(map[string]any)
	shapes, _ := m["shapes"].(map[string]any)
	operations, used := map[string]any{}, map[string]any{}
	for _, name := range only {
		if all[name] == nil {
			return fmt.Errorf("no operation %s", name)
		}
		operations[name] = all[name]
	}
	var mark func(v any)
	mark = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			name, isRef := v["shape"].(string)
			if isRef && shapes[name] != nil && used[name] == nil {
				used[name] = shapes[name]
				mark(shapes[name])
			}
			for _, inner := range v {
				mark(inner)
			}
		case []any:
			for _, inner := range v {
				mark(inner)
			}
		}
	}
	mark(operations)
	m["operations"], m["shapes"] = operations, used
	return nil
}

// strip removes documentation text. A member or shape may be called
// documentation too; those are objects and stay.
func strip(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if _, text := inner.(string); text && (k == "documentation" || k == "deprecatedMessage") {
				delete(v, k)
				continue
			}
			v[k] = strip(inner)
		}
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
	}
	return v
}
