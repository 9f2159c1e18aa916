package validate

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxParts is how many characters a sequence may unroll to: one bit each, and
// one for the end.
const maxParts = 63

// part is one character of a sequence: what it may be, and whether it may be
// repeated or left out.
type part struct {
	set              [utf8.RuneSelf]bool
	repeats, skipped bool
}

// sequence returns a matcher for character classes one after the other, each
// with a quantifier, as in the patterns of names and ARNs; nil for other
// expressions. The matcher keeps the parts that the last byte may have been as
// bits of a word, so its time is linear in the value.
func sequence(expr string) func(string) bool {
	parts, ok := unroll(expr)
	if !ok {
		return nil
	}
	var (
		follows          [utf8.RuneSelf]uint64 // bit i: the byte may be part i
		repeats, skipped uint64
		run, longest     int // of parts that may be left out, one after the other
	)
	for i, p := range parts {
		for c, in := range p.set {
			if in {
				follows[c] |= 1 << i
			}
		}
		if p.repeats {
			repeats |= 1 << i
		}
		run++
		if !p.skipped {
			run = 0
		} else {
			skipped |= 1 << i
		}
		longest = max(longest, run)
	}
	start, end := uint64(1), uint64(1)<<len(parts)
	for range longest {
		start |= start & skipped << 1
	}
	fallback := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(whole(expr)) })
	return func(s string) bool {
		next := start // the parts that may come next
		for i := range len(s) {
			c := s[i]
			if c >= utf8.RuneSelf { // a byte is no character any more
				return fallback().MatchString(s)
			}
			now := next & follows[c]
			next = now << 1
			for range longest {
				next |= next & skipped << 1
			}
			next |= now & repeats
		}
		return next&end != 0
	}
}

// unroll splits expr into parts, one for each character that a quantifier asks
// for.
func unroll(expr string) ([]part, bool) {
	var parts []part
	for expr != "" {
		n := classLen(expr)
		if n == 0 {
			return nil, false
		}
		re, err := regexp.Compile(whole(expr[:n]))
		if err != nil {
			return nil, false
		}
		var p part
		for c := range p.set {
			p.set[c] = re.MatchString(string(rune(c)))
		}
		low, high, rest, ok := quantifier(expr[n:])
		if !ok || max(low, high) > maxParts {
			return nil, false
		}
		for range low {
			parts = append(parts, p)
		}
		switch {
		case high == Unbounded && low > 0:
			parts[len(parts)-1].repeats = true
		case high == Unbounded:
			p.repeats, p.skipped = true, true
			parts = append(parts, p)
		default:
			p.skipped = true
			for range high - low {
				parts = append(parts, p)
			}
		}
		if len(parts) > maxParts {
			return nil, false
		}
		expr = rest
	}
	return parts, true
}

// classLen returns the length of the character class, escape, dot or literal at
// the start of expr, 0 when something else stands there.
func classLen(expr string) int {
	switch expr[0] {
	case '[':
		for i := 2; i < len(expr); i++ {
			switch expr[i] {
			case '\\':
				i++
			case ']':
				return i + 1
			}
		}
		return 0
	case '\\':
		if len(expr) > 1 && strings.IndexByte("pPxbB", expr[1]) < 0 {
			return 2
		}
		return 0
	case '(', ')', '|', '*', '+', '?', '{', '}', '^', '$', ']':
		return 0
	}
	if expr[0] >= utf8.RuneSelf {
		return 0
	}
	return 1
}

// quantifier reads what follows a class: how often it may stand, Unbounded for
// without end, and the rest. Lazy and possessive forms are not ok.
func quantifier(expr string) (low, high int, rest string, ok bool) {
	if expr == "" {
		return 1, 1, "", true
	}
	low, high, rest = 1, 1, expr[1:]
	switch expr[0] {
	case '+':
		high = Unbounded
	case '*':
		low, high = 0, Unbounded
	case '?':
		low = 0
	case '{':
		n := strings.IndexByte(expr, '}')
		if n < 0 {
			return 0, 0, "", false
		}
		if low, high, ok = counts(expr[1:n]); !ok {
			return 0, 0, "", false
		}
		rest = expr[n+1:]
	default:
		return 1, 1, expr, true
	}
	lazy := rest != "" && strings.IndexByte("?+*", rest[0]) >= 0
	return low, high, rest, !lazy
}

// counts reads "m", "m," and "m,n".
func counts(s string) (low, high int, ok bool) {
	from, to, ranged := strings.Cut(s, ",")
	low, err := strconv.Atoi(from)
	if err != nil {
		return 0, 0, false
	}
	switch {
	case !ranged:
		return low, low, true
	case to == "":
		return low, Unbounded, true
	}
	high, err = strconv.Atoi(to)
	return low, high, err == nil && high >= low
}
