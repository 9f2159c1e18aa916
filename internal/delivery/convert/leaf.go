package convert

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"thalweg/internal/delivery/scan"
)

// mismatch is a value that its column cannot hold.
func mismatch(raw []byte) error {
	return errors.New(`For input string: "` + shortened(raw) + `"`)
}

// shortened is what a message tells of a value.
func shortened(raw []byte) string {
	const most = 200
	if len(raw) <= most {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "..."
}

// scalar makes a leaf's value of one of JSON, which is not null. Texts are numbers and
// booleans where the deserializer lets them be.
func (w *Writer) scalar(n *node, raw []byte) (parquet.Value, error) {
	if w.c.o.iceberg {
		return w.icebergScalar(n, raw)
	}
	c := raw[0]
	quoted := c == '"'
	if quoted {
		raw = w.text(raw[1 : len(raw)-1])
		if w.c.o.Hive && n.kind <= tDecimal && !n.key {
			return parquet.Value{}, mismatch(raw)
		}
	}
	container := c == '{' || c == '['
	switch {
	case n.kind == tString && container && !w.c.o.Hive:
		return parquet.ByteArrayValue(w.keep(raw)), nil
	case container:
		return parquet.Value{}, mismatch(raw)
	}
	switch n.kind {
	case tString, tBinary:
		if !quoted {
			raw = w.keep(raw)
		}
		return parquet.ByteArrayValue(raw), nil
	case tChar, tVarchar:
		if utf8.RuneCount(raw) > n.length {
			return parquet.Value{}, errors.New("the value has more than " + strconv.Itoa(n.length) + " characters")
		}
		if !quoted {
			raw = w.keep(raw)
		}
		return parquet.ByteArrayValue(raw), nil
	case tBoolean:
		switch {
		case string(raw) == "true" || quoted && strings.EqualFold(string(raw), "true"):
			return parquet.BooleanValue(true), nil
		case string(raw) == "false" || quoted && strings.EqualFold(string(raw), "false"):
			return parquet.BooleanValue(false), nil
		}
		return parquet.Value{}, mismatch(raw)
	case tDate:
		if quoted {
			if days, rest, ok := calendar(raw); ok && len(rest) == 0 {
				return parquet.Int32Value(int32(days)), nil
			}
		}
		return parquet.Value{}, mismatch(raw)
	case tTimestamp:
		if day, nanos, ok := w.c.o.moment(raw, quoted); ok {
			return int96(day, nanos), nil
		}
		return parquet.Value{}, mismatch(raw)
	}
	return number(n, raw)
}

// number makes a number of the text of one.
func number(n *node, raw []byte) (parquet.Value, error) {
	bits := 0
	switch n.kind {
	case tTinyint:
		bits = 8
	case tSmallint:
		bits = 16
	case tInt:
		bits = 32
	case tBigint:
		bits = 64
	case tFloat:
		f, err := strconv.ParseFloat(string(raw), 32)
		if err != nil || !plainFloat(raw) {
			return parquet.Value{}, mismatch(raw)
		}
		return parquet.FloatValue(float32(f)), nil
	case tDouble:
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || !plainFloat(raw) {
			return parquet.Value{}, mismatch(raw)
		}
		return parquet.DoubleValue(f), nil
	default:
		return decimal(n, raw)
	}
	i, err := strconv.ParseInt(string(raw), 10, bits)
	if err != nil {
		return parquet.Value{}, mismatch(raw)
	}
	if bits == 64 {
		return parquet.Int64Value(i), nil
	}
	return parquet.Int32Value(int32(i)), nil
}

// plainFloat refuses what Go reads and JSON does not write: hexadecimal, underscores,
// words.
func plainFloat(raw []byte) bool {
	for _, c := range raw {
		if c > '9' && c != 'e' && c != 'E' || c == '/' {
			return false
		}
	}
	return true
}

// decimal makes a number of precision and scale, which must hold it exactly.
func decimal(n *node, raw []byte) (parquet.Value, error) {
	unscaled, ok := unscaled(string(raw), n.scale)
	if limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.precision)), nil); !ok || unscaled.CmpAbs(limit) >= 0 {
		return parquet.Value{}, mismatch(raw)
	}
	out := make([]byte, decimalBytes(n.precision))
	if unscaled.Sign() >= 0 {
		unscaled.FillBytes(out)
	} else { // two's complement
		wrap := new(big.Int).Lsh(big.NewInt(1), uint(8*len(out)))
		wrap.Add(wrap, unscaled).FillBytes(out)
	}
	return parquet.FixedLenByteArrayValue(out), nil
}

// unscaled is a number times 10 to the scale, when that is whole.
func unscaled(text string, scale int) (*big.Int, bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	shift := scale
	if exponent != "" {
		e, err := strconv.Atoi(exponent)
		if err != nil || e < -400 || e > 400 {
			return nil, false
		}
		shift += e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(whole)+len(fraction) > 400 || strings.ContainsAny(mantissa, "_+") {
		return nil, false
	}
	shift -= len(fraction)
	out, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return nil, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(shift, -shift))), nil)
	if shift >= 0 {
		return out.Mul(out, power), true
	}
	_, rest := out.QuoRem(out, power, new(big.Int))
	return out, rest.Sign() == 0
}

// digits reads a number of least to most digits, and returns what follows it.
func digits(s []byte, least, most int) (n int, rest []byte, ok bool) {
	i := 0
	for i < len(s) && i < most && s[i]-'0' <= 9 {
		n = 10*n + int(s[i]-'0')
		i++
	}
	return n, s[i:], i >= least
}

// follows cuts a separator off the beginning.
func follows(s []byte, c byte) (rest []byte, ok bool) {
	if len(s) == 0 || s[0] != c {
		return s, false
	}
	return s[1:], true
}

// calendar reads yyyy-[M]M-[d]d, as days since 1970, and returns what follows it.
func calendar(s []byte) (days int64, rest []byte, ok bool) {
	var n [3]int
	for i, least := range [...]int{4, 1, 1} {
		if i > 0 {
			if s, ok = follows(s, '-'); !ok {
				return 0, s, false
			}
		}
		if n[i], s, ok = digits(s, least, max(least, 2)); !ok {
			return 0, s, false
		}
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], 0, 0, 0, 0, time.UTC)
	days, _, _ = since1970(t.Unix(), 0)
	return days, s, n[0] > 0 && int(t.Month()) == n[1] && t.Day() == n[2]
}

// clockTime reads HH:mm:ss[.S], to nine digits of a second, as nanoseconds of the day.
func clockTime(s []byte) (nanos int64, rest []byte, ok bool) {
	var n [3]int
	for i := range n {
		if i > 0 {
			if s, ok = follows(s, ':'); !ok {
				return 0, s, false
			}
		}
		if n[i], s, ok = digits(s, 1, 2); !ok {
			return 0, s, false
		}
	}
	nanos = int64(n[0]*3600+n[1]*60+n[2]) * 1e9
	if fraction, more := follows(s, '.'); more {
		part, rest, ok := digits(fraction, 1, 9)
		if !ok {
			return 0, s, false
		}
		for range 9 - (len(fraction) - len(rest)) {
			part *= 10
		}
		nanos, s = nanos+int64(part), rest
	}
	return nanos, s, n[0] < 24 && n[1] < 60 && n[2] < 60
}

// moment reads a time as the deserializer does, as the day and nanoseconds of it.
// OpenX: yyyy-MM-dd'T'HH:mm:ss[.S]'Z', yyyy-[M]M-[d]d HH:mm:ss[.S], seconds since 1970,
// whole or not, and milliseconds. Hive: the second, and milliseconds where its
// TimestampFormats say so.
func (o *Options) moment(s []byte, quoted bool) (day, nanos int64, ok bool) {
	if quoted {
		if day, nanos, ok = o.written(s); ok {
			return day, nanos, true
		}
	}
	if o.Hive && !o.Millis {
		return 0, 0, false
	}
	if i, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		if o.Hive || i >= 1e11 || i <= -1e11 {
			return since1970(i/1000, i%1000*1e6)
		}
		return since1970(i, 0)
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || o.Hive || !plainFloat(s) || math.Abs(f) >= 1e11 {
		return 0, 0, false
	}
	micros := int64(math.Round(f * 1e6))
	return since1970(micros/1e6, micros%1e6*1e3)
}

// written reads a date and a time of the day.
func (o *Options) written(s []byte) (day, nanos int64, ok bool) {
	day, s, ok = calendar(s)
	if !ok || len(s) == 0 {
		return 0, 0, false
	}
	between := s[0]
	if nanos, s, ok = clockTime(s[1:]); !ok {
		return 0, 0, false
	}
	if between == 'T' && !o.Hive {
		s, ok = follows(s, 'Z')
	} else {
		ok = between == ' '
	}
	return day, nanos, ok && len(s) == 0
}

// since1970 is the day, and nanoseconds of it, of a time in the years 1 to 9999.
func since1970(seconds, nanos int64) (day, ofDay int64, ok bool) {
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	day = seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return day, (seconds-day*86400)*1e9 + nanos, seconds > -62135596800 && seconds < 253402300800
}

// int96 is nanoseconds of the day and Julian day, as Hive and Impala write it.
func int96(day, nanos int64) parquet.Value {
	const unixEpoch = 2440588
	return parquet.Int96Value(deprecated.Int96{0: uint32(nanos), 1: uint32(nanos >> 32), 2: uint32(day + unixEpoch)})
}

// text is what a string of JSON means, kept until the batch is written.
func (w *Writer) text(s []byte) []byte {
	at := len(w.arena)
	w.arena = scan.Unquote(w.arena, s)
	return w.arena[at:len(w.arena):len(w.arena)]
}

func (w *Writer) keep(raw []byte) []byte {
	at := len(w.arena)
	w.arena = append(w.arena, raw...)
	return w.arena[at:len(w.arena):len(w.arena)]
}
