package fs

import "strings"

// Objects stand in a tree of directories, one level for each slash of their keys.
// An entry's name says of what kind it is: an object's ends in "=", a piece's, which
// is the beginning of what is too long for one file name, in "+", a directory's in
// neither. Bytes other than a-z, 0-9, "-", "_" and a dot that is not the first are
// written as %XX, so that no two keys meet on a file system that folds case or
// normalises Unicode, and no name is "." or "..".

const (
	objectMark = '='
	pieceMark  = '+'
	emptyDir   = "%" // a directory whose part of the key is empty

	// pieceLen is how many bytes of a key one entry can stand for: three times as
	// many, and a mark, fit into 255.
	pieceLen = 80
)

// entry is a name in a directory: the bytes of the key that it stands for, with the
// slash of a directory. In this form entries sort as the keys below them do.
type entry string

// split takes the first entry off a key; an object's is last.
func split(key string) (e entry, rest string, last bool) {
	i := strings.IndexByte(key, '/')
	n := i
	if i < 0 {
		n = len(key)
	}
	switch {
	case n >= pieceLen:
		return entry(key[:pieceLen]), key[pieceLen:], false
	case i < 0:
		return entry(key), "", true
	}
	return entry(key[:i+1]), key[i+1:], false
}

// isDir tells a directory's or a piece's entry from an object's, which is shorter
// than a piece's.
func (e entry) isDir() bool { return len(e) >= pieceLen || strings.HasSuffix(string(e), "/") }

// pathOf returns the directory and the file name of a key, the directory relative to
// the bucket's objects: empty, or with a slash before it.
func pathOf(key string) (dir, base string) {
	var b []byte
	for {
		e, rest, last := split(key)
		if last {
			return string(b), string(e.append(nil))
		}
		b = e.append(append(b, '/'))
		key = rest
	}
}

const upperHex = "0123456789ABCDEF"

// append appends the file name of an entry.
func (e entry) append(b []byte) []byte {
	s, mark := string(e), byte(objectMark)
	switch {
	case strings.HasSuffix(s, "/"):
		s, mark = s[:len(s)-1], 0
		if s == "" {
			return append(b, emptyDir...)
		}
	case len(s) >= pieceLen:
		mark = pieceMark
	}
	for i := range len(s) {
		if c := s[i]; plain(c) && (c != '.' || i > 0) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	if mark != 0 {
		b = append(b, mark)
	}
	return b
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// parseEntry reads a file name. It reports false for one that append does not make.
func parseEntry(base string) (entry, bool) {
	var b []byte
	mark := byte('/')
	s := base
	switch {
	case base == emptyDir:
		return "/", true
	case base == "":
		return "", false
	}
	if c := base[len(base)-1]; c == objectMark || c == pieceMark {
		mark, s = c, base[:len(base)-1]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", false
			}
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		b = append(b, c)
	}
	if mark == '/' {
		b = append(b, '/')
	}
	e := entry(b)
	return e, string(e.append(nil)) == base
}

func unhex(c byte) byte {
	if c >= 'A' {
		return (c - 'A' + 10) & 15
	}
	return c & 15
}
