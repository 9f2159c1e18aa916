package clusters

import (
	"fmt"
	"strings"

	"thalweg/internal/brokers"
	"thalweg/internal/errs"
)

// MaxProperties is the largest text of a configuration, bytes.
const MaxProperties = 16 << 10

// ParseProperties reads a text of the form of server.properties: lines of NAME=VALUE,
// space around both, and comments that begin with # or !. Errors: Invalid for a
// line of another form, a name that is there twice, and what
// [brokers.CheckSettings] refuses.
func ParseProperties(text string) (map[string]string, error) {
	if len(text) > MaxProperties {
		return nil, errs.New(errs.Invalid, fmt.Sprintf("The properties of a configuration can have %d bytes at most.", MaxProperties))
	}
	out := map[string]string{}
	line := 0
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' || l[0] == '!' {
			continue
		}
		name, value, ok := strings.Cut(l, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, errs.New(errs.Invalid, fmt.Sprintf("Line %d of the properties is not of the form NAME=VALUE.", line))
		}
		if _, twice := out[name]; twice {
			return nil, errs.New(errs.Invalid, "The property "+name+" is there twice.")
		}
		out[name] = value
	}
	if err := brokers.CheckSettings(out); err != nil {
		return nil, errs.New(errs.Invalid, err.Msg)
	}
	return out, nil
}
