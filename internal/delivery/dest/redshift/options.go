package redshift

import (
	"strings"
)

// format says how a record's bytes are rows.
type format uint8

const (
	delimited format = iota // fields between delimiters, a row a line
	csv                     // RFC 4180
	jsonAuto                // JSON objects, whose members are columns by name
)

// parseOptions takes the options of Redshift's COPY command that say how rows look
// (Redshift Database Developer Guide, COPY): CSV, JSON 'auto' and 'auto ignorecase',
// DELIMITER, NULL, ESCAPE, each with AS where Redshift allows it. Those about the
// objects' compression, which are not made here, and about statistics have nothing to do.
// Any other is refused.
func (t *target) parseOptions(text string) error {
	t.delimiter, t.null = "|", `\N`
	words, err := split(text)
	if err != nil {
		return err
	}
	delimiter := false
	for len(words) > 0 {
		name := strings.ToUpper(words[0])
		words = words[1:]
		value := func() (string, bool) {
			if len(words) > 0 && strings.EqualFold(words[0], "AS") {
				words = words[1:]
			}
			if len(words) == 0 || !strings.HasPrefix(words[0], "'") {
				return "", false
			}
			v := words[0][1:]
			words = words[1:]
			return v, true
		}
		switch name {
		case "FORMAT":
			if len(words) > 0 && strings.EqualFold(words[0], "AS") {
				words = words[1:]
			}
		case "CSV":
			t.format = csv
		case "JSON":
			v, ok := value()
			switch {
			case !ok || strings.EqualFold(v, "auto"):
			case strings.EqualFold(v, "auto ignorecase"):
				t.ignoreCase = true
			default:
				return invalid("JSON '%s' is not supported in CopyOptions: only 'auto' and 'auto ignorecase' are.", v)
			}
			t.format = jsonAuto
		case "DELIMITER":
			v, ok := value()
			if v == `\t` {
				v = "\t"
			}
			if !ok || len(v) != 1 || strings.ContainsAny(v, "\r\n\\\"'") || v[0] >= 0x80 || v[0] >= 'a' && v[0] <= 'z' || v[0] == '.' {
				return invalid("DELIMITER in CopyOptions must be one character of ASCII.")
			}
			t.delimiter, delimiter = v, true
		case "NULL":
			v, ok := value()
			if !ok || strings.ContainsAny(v, "\r\n") {
				return invalid("NULL in CopyOptions must have a text.")
			}
			t.null = v
		case "ESCAPE":
			t.escape = true
		case "GZIP", "LZOP", "BZIP2", "ZSTD":
		case "STATUPDATE", "COMPUPDATE":
			if len(words) > 0 {
				if w := strings.ToUpper(words[0]); w == "ON" || w == "OFF" || w == "TRUE" || w == "FALSE" {
					words = words[1:]
				}
			}
		default:
			return invalid("%s is not supported in CopyOptions.", name)
		}
	}
	if t.format == csv && !delimiter {
		t.delimiter = ","
	}
	return nil
}

// split returns the words of text. One in quotes begins with a quote and has none at
// its end.
func split(text string) (words []string, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if text[0] == '\'' {
			v, rest, ok := strings.Cut(text[1:], "'")
			if !ok {
				return nil, invalid("CopyOptions has a quote without an end.")
			}
			words, text = append(words, "'"+v), rest
			continue
		}
		end := strings.IndexAny(text, " \t\r\n'")
		if end < 0 {
			end = len(text)
		}
		words, text = append(words, text[:end]), text[end:]
	}
	return words, nil
}
