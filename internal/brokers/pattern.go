package brokers

import (
	"regexp"
	"regexp/syntax"
)

// Bounds on a regular expression of a client. Compiled, x{1000} is a thousand
// instructions, and 1 MiB of it is more than any machine has.
const (
	maxPattern     = 4096   // bytes
	maxPatternSize = 16_384 // instructions and ranges of characters, about
)

// compile compiles a regular expression (RE2, as Apache Kafka's) that is not too
// large, for isWhole. Its errors are [syntax.Error]s.
func compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, &syntax.Error{Code: syntax.ErrLarge, Expr: cut(pattern)}
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if sizeOf(tree) > maxPatternSize {
		return nil, &syntax.Error{Code: syntax.ErrLarge, Expr: cut(pattern)}
	}
	re, err := regexp.Compile(pattern)
	if err == nil {
		re.Longest()
	}
	return re, err
}

// isWhole tells whether all of s matches.
func isWhole(re *regexp.Regexp, s string) bool {
	at := re.FindStringIndex(s)
	return at != nil && at[1]-at[0] == len(s)
}

// sizeOf is about how large a regular expression is when it is compiled.
func sizeOf(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n = min(n+sizeOf(sub), 2*maxPatternSize)
	}
	if re.Op == syntax.OpRepeat {
		n = min(n*max(re.Min, re.Max, 1), 2*maxPatternSize)
	}
	return n
}

// cut is the beginning of a regular expression, as much as one says of it.
func cut(pattern string) string {
	if len(pattern) > 100 {
		return pattern[:100] + "..."
	}
	return pattern
}
