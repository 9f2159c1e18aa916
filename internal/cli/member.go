package cli

import (
	"encoding/json"
	"errors"
	"fmt"
)

// keyOf returns the member name of the JSON object line: a string, or another
// scalar's text. Of several members of that name the last one counts.
func keyOf(line []byte, name string) (string, error) {
	raw, err := member(line, name)
	switch {
	case err != nil:
		return "", err
	case raw == nil:
		return "", fmt.Errorf("no member %q", name)
	case raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", fmt.Errorf("member %q is no text or number", name)
	case raw[0] != '"':
		return string(raw), nil
	}
	key, err := unquote(raw)
	if err == nil && key == "" {
		err = fmt.Errorf("member %q is empty", name)
	}
	return key, err
}

var errNotObject = errors.New("not a JSON object")

// member returns the bytes of a member's value in a JSON object, nil when there
// is none of that name. It looks at the top level only and decodes nothing else,
// which is several times faster than encoding/json into a map.
func member(object []byte, name string) ([]byte, error) {
	if !json.Valid(object) {
		return nil, errNotObject
	}
	// What follows relies on the object being valid.
	i := skipSpace(object, 0)
	if object[i] != '{' {
		return nil, errNotObject
	}
	var found []byte
	for i = skipSpace(object, i+1); object[i] != '}'; i = skipSpace(object, i) {
		if object[i] == ',' {
			i = skipSpace(object, i+1)
		}
		end := skipString(object, i)
		key := object[i:end]
		start := skipSpace(object, skipSpace(object, end)+1) // past the colon
		i = skipValue(object, start)
		if string(key[1:len(key)-1]) == name {
			found = object[start:i]
			continue
		}
		if hasEscape(key) || !isASCII(key) {
			if k, err := unquote(key); err == nil && k == name {
				found = object[start:i]
			}
		}
	}
	return found, nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

// skipString returns the index behind the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the index behind the value that begins at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			if i = skipString(b, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
}

func hasEscape(b []byte) bool {
	for _, c := range b {
		if c == '\\' {
			return true
		}
	}
	return false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// unquote decodes a JSON string.
func unquote(raw []byte) (string, error) {
	if !hasEscape(raw) && isASCII(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}
