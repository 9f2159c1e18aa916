package codec

import (
	"strings"
	"time"
)

// MaxEpochSeconds bounds timestamps to the years 0001 to 9999, which every
// format can write.
const MaxEpochSeconds = 253402300799 - 1

// ParseTime reads the text of a timestamp.
func ParseTime(s string, f TimeFormat) (time.Time, bool) {
	layout := time.RFC3339Nano
	if f == TimeHTTPDate {
		layout = "Mon, 02 Jan 2006 15:04:05 GMT"
		s = strings.TrimSpace(s)
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}, false
	}
	return CheckTime(t.UTC())
}

// CheckTime reports whether t lies in the years 0001 to 9999.
func CheckTime(t time.Time) (time.Time, bool) {
	if s := t.Unix(); s > MaxEpochSeconds || s < -62135596800 {
		return time.Time{}, false
	}
	return t, true
}
