package lint

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// asciiExt are the extensions of sources that stay ASCII; files without one
// (Makefile, LICENSE) do too.
var asciiExt = []string{
	"", ".go", ".mod", ".sh", ".mk", ".md", ".yml", ".yaml", ".toml", ".py", ".js", ".mjs", ".ts", ".tsx", ".css", ".html",
	".java", ".xml", ".txt",
}

func checkASCII(files []*File, report func(*File, int, string)) {
	for _, f := range files {
		if !slices.Contains(asciiExt, path.Ext(f.Path)) || strings.Contains(f.Path, "/testdata/") || f.Within("internal/console/dist") ||
			isASCII(f.Src) {
			continue
		}
		boxes := f.Within("docs") && path.Ext(f.Path) == ".md"
		line := 1
		for i := 0; i < len(f.Src); {
			r, n := utf8.DecodeRune(f.Src[i:])
			if r == '\n' {
				line++
			}
			if r >= utf8.RuneSelf && !(boxes && r >= 0x2500 && r <= 0x257F) {
				report(f, line, fmt.Sprintf("%U is not ASCII: look-alikes and editors' quotes hide in sources; docs may draw boxes", r))
			}
			i += n
		}
	}
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isText reports whether the file has lines.
func isText(f *File) bool { return !bytes.ContainsRune(f.Src[:min(len(f.Src), 8000)], 0) }

// foreignWords have no place in the project, which speaks of itself alone. They
// are put together here so that this file does not contain them.
var foreignWords = []string{
	"/wo" + "rk/", "sha" + "red/facts", "sha" + "red/design", "sha" + "red/style", "sha" + "red/data", ".lib" + "rary/",
	"fa" + "rm-", "help" + "er session", "/tmp/br" + "ief", "issues sh" + "ow",
}

func checkWords(files []*File, report func(*File, int, string)) {
	for _, f := range files {
		if !isText(f) {
			continue
		}
		lower := bytes.ToLower(f.Src)
		for _, word := range foreignWords {
			for at := 0; ; at++ {
				i := bytes.Index(lower[at:], []byte(word))
				if i < 0 {
					break
				}
				at += i
				if !wordStart(lower, at, word) {
					continue
				}
				report(f, 1+bytes.Count(f.Src[:at], []byte("\n")), fmt.Sprintf("says %q: the text speaks of the project alone", word))
			}
		}
	}
}

// wordStart reports whether the word at i is not the end of a longer one.
func wordStart(b []byte, i int, word string) bool {
	c := word[0]
	if i == 0 || c < 'a' || c > 'z' {
		return true
	}
	return b[i-1] < 'a' || b[i-1] > 'z'
}

var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)

func checkUnfinished(files []*File, report func(*File, int, string)) {
	for _, f := range files {
		if !isText(f) || f.Within("api/models") || strings.Contains(f.Path, "/testdata/") || path.Ext(f.Path) == ".sum" {
			continue
		}
		for _, at := range unfinished.FindAllIndex(f.Src, -1) {
			report(f, 1+bytes.Count(f.Src[:at[0]], []byte("\n")), "what is not done is refused in code and said in the documents, not noted in passing")
		}
	}
}
