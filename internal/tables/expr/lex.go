package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"thalweg/internal/errs"
)

// tokenKind is what a token is.
type tokenKind uint8

const (
	end    tokenKind = iota
	word             // an attribute name, a keyword or a function
	alias            // #name
	given            // :name
	number           // in brackets
	symbol           // punctuation and operators
)

type token struct {
	kind tokenKind
	text string
	at   int // its first byte
	to   int // the byte after its last
}

// lex takes an expression apart. ok is false at a character that belongs to
// nothing, which is then the last token.
func lex(text string) (tokens []token, ok bool) {
	for i := 0; ; {
		for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
			i++
		}
		if i == len(text) {
			return append(tokens, token{kind: end, text: "<EOF>", at: i, to: i}), true
		}
		t := token{at: i}
		switch c := text[i]; {
		case isLetter(c):
			t.kind, t.text = word, run(text[i:], 0)
		case isDigit(c):
			t.kind, t.text = number, run(text[i:], 0)
		case (c == '#' || c == ':') && i+1 < len(text) && (isLetter(text[i+1]) || isDigit(text[i+1])):
			t.kind, t.text = alias, run(text[i:], 1)
			if c == ':' {
				t.kind = given
			}
		case strings.HasPrefix(text[i:], "<>") || strings.HasPrefix(text[i:], "<=") || strings.HasPrefix(text[i:], ">="):
			t.kind, t.text = symbol, text[i:i+2]
		case strings.IndexByte("()[],.=<>+-", c) >= 0:
			t.kind, t.text = symbol, text[i:i+1]
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			return append(tokens, token{kind: symbol, text: string(r), at: i, to: i + size}), false
		}
		i += len(t.text)
		t.to = i
		tokens = append(tokens, t)
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// run returns the letters and digits that s begins with, after skip bytes.
func run(s string, skip int) string {
	n := skip
	for n < len(s) && (isLetter(s[n]) || isDigit(s[n])) {
		n++
	}
	return s[:n]
}

// parser reads one expression.
type parser struct {
	x      *Input
	what   string // such as ConditionExpression
	text   string
	tokens []token
	next   int
	depth  int
}

// Bounds of an expression (developer guide, "Quotas": 4 KB and 300 operators;
// nesting is not documented, so it is bounded by what a stack bears with ease).
const (
	MaxBytes = 4 << 10
	maxDepth = 150
)

// parser begins to read an expression. what names the parameter.
func (x *Input) parser(what, text string) (*parser, error) {
	p := &parser{x: x, what: what, text: text}
	if len(text) > MaxBytes {
		return nil, p.fail("Expression size has exceeded the maximum allowed size; expression size: " + strconv.Itoa(len(text)))
	}
	var ok bool
	if p.tokens, ok = lex(text); !ok {
		p.next = len(p.tokens) - 1
		return nil, p.unexpected()
	}
	if p.peek().kind == end {
		return nil, p.fail("The expression can not be empty;")
	}
	return p, nil
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != end {
		p.next++
	}
	return t
}

// accept takes the next token if it is the symbol.
func (p *parser) accept(s string) bool {
	if t := p.peek(); t.kind != symbol || t.text != s {
		return false
	}
	p.next++
	return true
}

// keyword takes the next token if it is the word, in whatever case.
func (p *parser) keyword(w string) bool {
	if !p.atKeyword(w) {
		return false
	}
	p.next++
	return true
}

func (p *parser) atKeyword(w string) bool {
	t := p.peek()
	return t.kind == word && strings.EqualFold(t.text, w)
}

// expect is accept for what must be there.
func (p *parser) expect(s string) error {
	if !p.accept(s) {
		return p.unexpected()
	}
	return nil
}

func (p *parser) expectEnd() error {
	if p.peek().kind != end {
		return p.unexpected()
	}
	return nil
}

// enter counts a level of nesting.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail("The expression is nested too deeply; levels: " + strconv.Itoa(p.depth))
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) fail(text string) error {
	return errs.New(errs.Invalid, "Invalid "+p.what+": "+text)
}

// unexpected is the error for the next token, shown between its neighbours.
func (p *parser) unexpected() error {
	first, last := p.tokens[max(p.next-1, 0)], p.tokens[min(p.next+1, len(p.tokens)-1)]
	near := strings.ToValidUTF8(strings.TrimSpace(p.text[first.at:last.to]), "\uFFFD")
	return p.fail(`Syntax error; token: "` + p.peek().text + `", near: "` + near + `"`)
}
