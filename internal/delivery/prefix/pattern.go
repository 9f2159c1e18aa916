package prefix

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// pattern is a compiled pattern of java.time.format.DateTimeFormatter, for the locale
// en_US: English names, weeks that begin on Sunday and the first of them with the year.
//
//	G y u Y  era, years        M L Q q  months, quarters    w W D d  weeks, days
//	E e c    days of the week  a        AM, PM              H k K h  hours
//	m s S    minutes to fractions       n A N               nanoseconds, since midnight
//	VV O X x Z  zone, offset   z v      zone's name, in UTC only
//	'text'   literal, '' is a quote     [ ]                 without effect
//
// A number of letters that Java does not take is an error, as are its letters B, F, g
// and p, whose meaning differs between its versions or is of no use in a name, and z
// and v in other zones than UTC: names of zones are a matter of its locale data.
type pattern []field

// field appends one part of the text of a time.
type field func(dst []byte, t time.Time) []byte

// defaultTime is what a prefix without expressions ends with.
var defaultTime = part{kind: timestamp, time: pattern{
	number(year, 4), text("/"), number(month, 2), text("/"), number(time.Time.Day, 2), text("/"), number(time.Time.Hour, 2), text("/"),
}}

func (p pattern) append(dst []byte, t time.Time) []byte {
	for _, f := range p {
		dst = f(dst, t)
	}
	return dst
}

func compile(in string, zone *time.Location) (p pattern, err error) {
	open := 0
	for i := 0; i < len(in); {
		c := in[i]
		n := 1
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			for i+n < len(in) && in[i+n] == c {
				n++
			}
			f, err := letters(c, n, zone)
			if err != nil {
				return nil, err
			}
			p = append(p, f)
		case c == '\'':
			quoted, length, ok := quotation(in[i:])
			if !ok {
				return nil, errors.New("the pattern ends within a quotation")
			}
			p, n = append(p, text(quoted)), length
		case c == '[':
			open++
		case c == ']':
			if open--; open < 0 {
				return nil, errors.New("the pattern has a ] without a [ before it")
			}
		case c == '{' || c == '#':
			return nil, fmt.Errorf("the pattern has a %c, which is reserved", c)
		default:
			p = append(p, text(in[i:i+1]))
		}
		i += n
	}
	return p, nil
}

// quotation reads what in begins with, and tells how long it was.
func quotation(in string) (quoted string, length int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(in); i++ {
		if in[i] != '\'' {
			b.WriteByte(in[i])
			continue
		}
		if i+1 < len(in) && in[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		if i == 1 {
			return "'", 2, true
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// letters is the meaning of n times the letter c.
func letters(c byte, n int, zone *time.Location) (field, error) {
	if most, known := maxLetters[c]; !known {
		return nil, fmt.Errorf("the pattern letter %c is not known", c)
	} else if n > most {
		return nil, fmt.Errorf("the pattern has too many letters: %s", strings.Repeat(string(c), n))
	}
	switch c {
	case 'y', 'u', 'Y':
		of := year
		if c == 'Y' {
			of = weekYear
		}
		if n == 2 {
			return number(func(t time.Time) int { return of(t) % 100 }, 2), nil
		}
		return number(of, n), nil
	case 'M', 'L':
		return named(n, number(month, n), func(t time.Time) string { return t.Month().String() }), nil
	case 'E':
		return named(max(n, 3), nil, weekday), nil
	case 'e', 'c':
		if c == 'c' && n == 2 {
			return nil, errors.New("the pattern has cc, which is invalid")
		}
		return named(n, number(func(t time.Time) int { return int(t.Weekday()) + 1 }, n), weekday), nil
	case 'Q', 'q':
		return quarterField(n), nil
	case 'G':
		return func(dst []byte, _ time.Time) []byte {
			return append(dst, [...]string{"AD", "AD", "AD", "Anno Domini", "A"}[n-1]...)
		}, nil
	case 'a':
		return func(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, "PM") }, nil
	case 'S':
		return func(dst []byte, t time.Time) []byte {
			return append(dst, fmt.Sprintf("%09d", t.Nanosecond())[:n]...)
		}, nil
	case 'V', 'O', 'X', 'x', 'Z', 'z', 'v':
		return zoneField(c, n, zone)
	}
	return number(numbers[c], n), nil
}

// maxLetters says how many of a letter there may be; java.time counts digits up to
// 19, but not those of a week's year.
var maxLetters = map[byte]int{
	'G': 5, 'y': 19, 'u': 19, 'Y': 1 << 10, 'M': 5, 'L': 5, 'Q': 5, 'q': 5, 'w': 2, 'W': 1, 'D': 3, 'd': 2, 'E': 5, 'e': 5, 'c': 5,
	'a': 1, 'H': 2, 'k': 2, 'K': 2, 'h': 2, 'm': 2, 's': 2, 'S': 9, 'n': 19, 'A': 19, 'N': 19,
	'V': 2, 'O': 4, 'X': 5, 'x': 5, 'Z': 5, 'z': 4, 'v': 4,
}

// numbers are the letters that are numbers however often they stand.
var numbers = map[byte]func(time.Time) int{
	'w': week,
	'W': func(t time.Time) int { return (t.Day()-1+int(t.AddDate(0, 0, 1-t.Day()).Weekday()))/7 + 1 },
	'D': time.Time.YearDay,
	'd': time.Time.Day,
	'H': time.Time.Hour,
	'k': func(t time.Time) int { return (t.Hour()+23)%24 + 1 },
	'K': func(t time.Time) int { return t.Hour() % 12 },
	'h': func(t time.Time) int { return (t.Hour()+11)%12 + 1 },
	'm': time.Time.Minute,
	's': time.Time.Second,
	'n': time.Time.Nanosecond,
	'A': func(t time.Time) int { return sinceMidnight(t) / 1e6 },
	'N': sinceMidnight,
}

func year(t time.Time) int  { return t.Year() }
func month(t time.Time) int { return int(t.Month()) }

func weekday(t time.Time) string { return t.Weekday().String() }

func sinceMidnight(t time.Time) int {
	return (t.Hour()*3600+t.Minute()*60+t.Second())*1e9 + t.Nanosecond()
}

// weekYear is the year that the week's Saturday is in.
func weekYear(t time.Time) int { return saturday(t).Year() }

// week counts from the week that has January 1 in it.
func week(t time.Time) int { return (saturday(t).YearDay()-1)/7 + 1 }

func saturday(t time.Time) time.Time { return t.AddDate(0, 0, int(time.Saturday-t.Weekday())) }

func text(s string) field {
	return func(dst []byte, _ time.Time) []byte { return append(dst, s...) }
}

// number is of at least so many digits.
func number(of func(time.Time) int, digits int) field {
	return func(dst []byte, t time.Time) []byte { return fmt.Appendf(dst, "%0*d", digits, of(t)) }
}

// named is a number for one or two letters, then the name: short, long, and its
// first letter.
func named(n int, numeric field, name func(time.Time) string) field {
	switch n {
	case 3:
		return func(dst []byte, t time.Time) []byte { return append(dst, name(t)[:3]...) }
	case 4:
		return func(dst []byte, t time.Time) []byte { return append(dst, name(t)...) }
	case 5:
		return func(dst []byte, t time.Time) []byte { return append(dst, name(t)[:1]...) }
	}
	return numeric
}

func quarterField(n int) field {
	quarter := func(t time.Time) int { return (month(t) + 2) / 3 }
	switch n {
	case 3:
		return func(dst []byte, t time.Time) []byte { return fmt.Appendf(dst, "Q%d", quarter(t)) }
	case 4:
		return func(dst []byte, t time.Time) []byte {
			return append(dst, [...]string{"1st", "2nd", "3rd", "4th"}[quarter(t)-1]+" quarter"...)
		}
	case 5:
		return number(quarter, 1)
	}
	return number(quarter, n)
}
