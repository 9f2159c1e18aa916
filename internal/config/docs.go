package config

//go:generate go test . -run ^TestDocsAreCurrent$ -update

import (
	"fmt"
	"strings"
)

// Docs returns docs/config.md.
func Docs() string {
	c := Default(func(string) (string, bool) { return "", false })
	c.Data = "see below"
	var b strings.Builder
	b.WriteString(docsHead)
	for _, s := range c.Settings() {
		form := s.Value.Type()
		if form == "" {
			form = "true or false"
		}
		def := s.Value.String()
		if def == "" {
			def = "none"
		}
		fmt.Fprintf(&b, "\n## %s\n\n`--%s`, `%s`. %s. Default: %s.\n", s.Name, s.Name, s.Env(), capital(s.Help), def)
		fmt.Fprintf(&b, "\nForm: `%s`.", form)
		if s.Doc != "" {
			b.WriteString(" " + s.Doc)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

const docsHead = `<!-- Generated from internal/config by go test ./internal/config -update. Do not edit. -->

# Configuration

Every setting of ` + "`thalweg serve`" + ` has one name. It is a flag (` + "`--max-disk 10GiB`" + `), a key of one YAML
file (` + "`max-disk: 10GiB`" + `) and an environment variable (` + "`THALWEG_MAX_DISK=10GiB`" + `). A flag beats the
environment, the environment beats the file, the file beats the default. The file is the one that
` + "`--config FILE`" + ` or ` + "`THALWEG_CONFIG`" + ` names; none is looked for. An unknown key in it is an error.

` + "```yaml" + `
# thalweg.yaml
data: /var/lib/thalweg
listen: 127.0.0.1:4566
memory: 512MiB
max-disk: 100GiB
` + "```" + `

Sizes take KiB, MiB, GiB or TiB. Durations take ms, s, m or h. Lists are separated by commas, or YAML lists.
`
