package prefix

import (
	"errors"
	"fmt"
	"time"
)

// zoneField is a letter that tells the zone or its offset.
func zoneField(c byte, n int, zone *time.Location) (field, error) {
	switch {
	case c == 'V' && n == 2:
		return text(zone.String()), nil
	case c == 'O' && n == 1:
		return gmtField(false), nil
	case c == 'O' && n == 4 || c == 'Z' && n == 4:
		return gmtField(true), nil
	case c == 'Z' && n < 4:
		return offsetField("+0000", "", true, never), nil
	case c == 'Z':
		return offsetField("Z", ":", true, ifAny), nil
	case c == 'X' || c == 'x':
		zero := "Z"
		if c == 'x' {
			zero = [...]string{"+00", "+0000", "+00:00", "+0000", "+00:00"}[n-1]
		}
		switch n {
		case 1:
			return offsetField(zero, "", false, never), nil
		case 2, 3:
			return offsetField(zero, colon(n == 3), true, never), nil
		}
		return offsetField(zero, colon(n == 5), true, ifAny), nil
	case c == 'z' || c == 'v' && (n == 1 || n == 4):
		if zone != time.UTC {
			return nil, errors.New("names of time zones other than UTC are not supported")
		}
		if n == 4 {
			return text("Coordinated Universal Time"), nil
		}
		return text("UTC"), nil
	}
	return nil, fmt.Errorf("the pattern has %d of the letter %c, which is invalid", n, c)
}

func colon(yes bool) string {
	if yes {
		return ":"
	}
	return ""
}

const (
	never = false
	ifAny = true
)

// offset splits the offset from UTC.
func offset(t time.Time) (sign byte, h, m, s int) {
	_, o := t.Zone()
	sign = '+'
	if o < 0 {
		sign, o = '-', -o
	}
	return sign, o / 3600, o / 60 % 60, o % 60
}

// offsetField is zero for an offset of zero, else hours and minutes; minutes of zero
// stand there when always is set, seconds when there are any.
func offsetField(zero, colon string, always, seconds bool) field {
	return func(dst []byte, t time.Time) []byte {
		sign, h, m, s := offset(t)
		if h == 0 && m == 0 && (s == 0 || !seconds) {
			return append(dst, zero...)
		}
		dst = fmt.Appendf(append(dst, sign), "%02d", h)
		if always || m != 0 {
			dst = fmt.Appendf(dst, "%s%02d", colon, m)
		}
		if seconds && s != 0 {
			dst = fmt.Appendf(dst, "%s%02d", colon, s)
		}
		return dst
	}
}

// gmtField is GMT, and the offset unless it is zero.
func gmtField(full bool) field {
	return func(dst []byte, t time.Time) []byte {
		dst = append(dst, "GMT"...)
		sign, h, m, s := offset(t)
		if h == 0 && m == 0 && s == 0 {
			return dst
		}
		if full {
			dst = fmt.Appendf(append(dst, sign), "%02d:%02d", h, m)
		} else if dst = fmt.Appendf(append(dst, sign), "%d", h); m != 0 || s != 0 {
			dst = fmt.Appendf(dst, ":%02d", m)
		}
		if s != 0 {
			dst = fmt.Appendf(dst, ":%02d", s)
		}
		return dst
	}
}
