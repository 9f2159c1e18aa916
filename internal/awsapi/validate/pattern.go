package validate

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Pattern is a regular expression of the models. AWS applies it to the whole
// value. It is compiled at first use.
type Pattern struct {
	// Text is the model's expression, shown in violations.
	Text string
	// Expr is the expression in Go's syntax where Text is none, else empty.
	Expr string
	// Not is an expression that the value must not match: what a look-ahead in
	// Text excludes.
	Not string

	once  sync.Once
	match func(string) bool
}

func (p *Pattern) constraint() string {
	return "Member must satisfy regular expression pattern: " + p.Text
}

// Match reports whether s as a whole fits.
func (p *Pattern) Match(s string) bool {
	p.once.Do(p.compile)
	return p.match(s)
}

// Compile reports whether the expressions are valid.
func (p *Pattern) Compile() error {
	for _, e := range []string{p.expr(), p.Not} {
		if _, err := regexp.Compile(whole(e)); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pattern) expr() string {
	if p.Expr != "" {
		return p.Expr
	}
	return p.Text
}

func whole(expr string) string { return `^(?:` + expr + `)$` }

func (p *Pattern) compile() {
	positive := matcher(p.expr())
	p.match = positive
	if p.Not != "" {
		negative := matcher(p.Not)
		p.match = func(s string) bool { return positive(s) && !negative(s) }
	}
}

// matcher returns a matcher of its own for the forms that stand on the hot path,
// decimal numbers and sequences of character classes, and a regular expression
// for the rest.
func matcher(expr string) func(string) bool {
	e := strings.TrimSuffix(strings.TrimPrefix(expr, "^"), "$")
	if m := decimal(e); m != nil {
		return m
	}
	if m := sequence(e); m != nil {
		return m
	}
	return regexp.MustCompile(whole(expr)).MatchString
}

// decimal matches 0|([1-9]\d{0,N}), with or without a group around it.
func decimal(expr string) func(string) bool {
	e := expr
	if strings.HasPrefix(e, "(") && strings.HasSuffix(e, "))") {
		e = e[1 : len(e)-1]
	}
	const prefix, suffix = `0|([1-9]\d{0,`, `})`
	if !strings.HasPrefix(e, prefix) || !strings.HasSuffix(e, suffix) {
		return nil
	}
	most, err := strconv.Atoi(e[len(prefix) : len(e)-len(suffix)])
	if err != nil {
		return nil
	}
	return func(s string) bool {
		if s == "0" {
			return true
		}
		if s == "" || s[0] == '0' || len(s) > most+1 {
			return false
		}
		for i := range len(s) {
			if s[i] < '0' || s[i] > '9' {
				return false
			}
		}
		return true
	}
}
