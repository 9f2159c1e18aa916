package ids_test

import (
	"fmt"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thalweg/internal/ids"
)

// bigSequence is the layout written down a second time, as hexadecimal text.
func bigSequence(s ids.Sequence) string {
	hex := fmt.Sprintf("2%09x%01x%016x00%09x%08x2", s.Created, s.Shard&15, s.Index, max(s.Time, s.Created), s.Shard)
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok || len(hex) != 47 {
		panic(hex)
	}
	return n.String()
}

func genSequence(t *rapid.T) ids.Sequence {
	created := rapid.Int64Range(0, 1<<36-1).Draw(t, "created")
	return ids.Sequence{
		Version: 2, Created: created,
		Shard: rapid.Uint32Range(0, 1<<31-1).Draw(t, "shard"),
		Index: rapid.Uint64Range(0, ids.MaxSequenceIndex).Draw(t, "index"),
		Time:  rapid.Int64Range(created, 1<<36-1).Draw(t, "time"),
	}
}

func TestSequenceAgainstBigInt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSequence(t)
		text := s.String()
		if want := bigSequence(s); text != want || len(text) != ids.SequenceDigits {
			t.Fatalf("%+v: %s, want %s", s, text, want)
		}
		got, canonical, err := ids.ParseSequence(text)
		if err != nil || got != s || canonical != text {
			t.Fatalf("%s: %+v %s %v", text, got, canonical, err)
		}
	})
}

func TestSequenceOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genSequence(t)
		b := a
		b.Index = rapid.Uint64Range(0, ids.MaxSequenceIndex).Draw(t, "other index")
		b.Time = rapid.Int64Range(a.Created, 1<<36-1).Draw(t, "other time")
		if a.Index < b.Index && a.String() >= b.String() {
			t.Fatalf("%+v is not below %+v", a, b)
		}
	})
}

// A record's time below the shard's creation counts as the creation.
func TestSequenceTimeFloor(t *testing.T) {
	a := ids.Sequence{Version: 2, Created: 1000, Index: 1, Time: 7}
	b := ids.Sequence{Version: 2, Created: 1000, Index: 1, Time: 1000}
	if a.String() != b.String() {
		t.Errorf("%s %s", a, b)
	}
}

func TestSequenceOffsets(t *testing.T) {
	for _, c := range []struct {
		index     uint64
		at, after int64
	}{{0, 0, 0}, {1, 0, 1}, {2, 1, 2}, {ids.MaxSequenceIndex, ids.MaxSequenceIndex - 1, ids.MaxSequenceIndex}} {
		s := ids.Sequence{Index: c.index}
		if s.Offset() != c.at || s.OffsetAfter() != c.after {
			t.Errorf("%d: %d %d", c.index, s.Offset(), s.OffsetAfter())
		}
	}
}

// TestGoldenVectors reads the table of the format page, which is the contract.
func TestGoldenVectors(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats/sequence-numbers.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d{56}) \|`)
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 6 {
		t.Fatalf("only %d golden vectors", len(rows))
	}
	for _, r := range rows {
		var s ids.Sequence
		fmt.Sscan(strings.Join(r[1:5], " "), &s.Created, &s.Shard, &s.Index, &s.Time)
		s.Version = 2
		if s.String() != r[5] {
			t.Errorf("%+v: %s, the page says %s", s, s, r[5])
		}
		if got, _, err := ids.ParseSequence(r[5]); err != nil || got != s {
			t.Errorf("%s: %+v %v", r[5], got, err)
		}
	}
}

func hexDecimal(hex string) string {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic(hex)
	}
	return n.String()
}

// Foreign numbers, as AWS reads them (recorded answers of AWS).
func TestParseSequence(t *testing.T) {
	cases := []struct {
		text, canonical string
		version         int
		shard           uint32
		bad             bool
	}{
		{text: "0", canonical: "21267647932558653966460912964485513216"},
		{text: "5", canonical: "21267647932558653966460912964485513221", shard: 5},
		{text: "425352958651173072921826052383309826", canonical: "21693000891209827039382739016868823042", shard: 2},
		{text: hexDecimal("f3bb2cc3d7ff7fffffffffffffff0000"), canonical: "26227199374821822965252748908982894592"},
		{text: hexDecimal("13bb2cc3d80000000000000000000000"), canonical: "26227199374822427428162556223570313216", bad: true},
		{text: hexDecimal("20000000000800000000000000000000000000000000002"), bad: true},
		{text: hexDecimal("20000000000000000000000000000000000000800000002"), bad: true},
		{text: hexDecimal("20000000000000000000000000000000000000000000003"), bad: true},
		{text: hexDecimal("30000000000000000000000000000000000000000000002"), bad: true},
		{text: hexDecimal("20000000010000000000000000000000000000000000051"), version: 1, shard: 5},
		{text: hexDecimal("100000000000000000000000000000000"), bad: true},
		{text: "", bad: true}, {text: "00", bad: true}, {text: "-1", bad: true}, {text: "1e3", bad: true}, {text: " 1", bad: true},
		{text: strings.Repeat("9", 129), bad: true},
	}
	for _, c := range cases {
		s, canonical, err := ids.ParseSequence(c.text)
		if c.canonical == "" {
			c.canonical = c.text
		}
		if (err != nil) != c.bad || canonical != c.canonical || !c.bad && (s.Version != c.version || s.Shard != c.shard) {
			t.Errorf("%s: %+v %s %v", c.text, s, canonical, err)
		}
	}
}

func FuzzParseSequence(f *testing.F) {
	f.Add("49543463076548007577105092703039560359975228518395012686")
	f.Add("0")
	f.Fuzz(func(t *testing.T, text string) {
		s, canonical, err := ids.ParseSequence(text)
		if err != nil || s.Version != 2 {
			return
		}
		// Foreign numbers may carry another middle byte or shard digit; what is
		// read must survive being written.
		again, _, err := ids.ParseSequence(s.String())
		if s.Time >= s.Created && (err != nil || again != s) || canonical != text {
			t.Fatalf("%s: %+v became %+v, %v", text, s, again, err)
		}
	})
}

func TestHashAgainstBigInt(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		h := ids.Hash{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}
		n := new(big.Int).Lsh(new(big.Int).SetUint64(h.Hi), 64)
		n.Or(n, new(big.Int).SetUint64(h.Lo))
		if h.String() != n.String() {
			t.Fatalf("%s, want %s", h, n)
		}
		if got, ok := ids.ParseHash(n.String()); !ok || got != h {
			t.Fatalf("%s: %v %v", n, got, ok)
		}
		if over := n.Add(n, limit).String(); len(over) > 0 {
			if _, ok := ids.ParseHash(over); ok {
				t.Fatalf("%s is in range", over)
			}
		}
	})
	if _, ok := ids.ParseHash(limit.String()); ok {
		t.Error("2^128 is in range")
	}
	if got := ids.MaxHash.String(); got != "340282366920938463463374607431768211455" {
		t.Error(got)
	}
}

func TestUniformRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		step := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(n)))
		ranges := ids.UniformRanges(n)
		for i, r := range ranges {
			want := new(big.Int).Mul(step, big.NewInt(int64(i))).String()
			if r.Start.String() != want {
				t.Fatalf("%d of %d starts at %s, want %s", i, n, r.Start, want)
			}
			end := ids.MaxHash.String()
			if i < n-1 {
				next, _ := new(big.Int).SetString(ranges[i+1].Start.String(), 10)
				end = next.Sub(next, big.NewInt(1)).String()
			}
			if r.End.String() != end || !r.Contains(r.Start) || !r.Contains(r.End) {
				t.Fatalf("%d of %d ends at %s, want %s", i, n, r.End, end)
			}
		}
	})
}

func TestHashOf(t *testing.T) {
	// MD5("a") is 0cc175b9c0f1b6a831c399e269772661.
	if got, want := ids.HashOf([]byte("a")).String(), hexDecimal("0cc175b9c0f1b6a831c399e269772661"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestShard(t *testing.T) {
	if got := ids.Shard(7).String(); got != "shardId-000000000007" {
		t.Error(got)
	}
	cases := map[string]int64{
		"shardId-000000000000": 0, "0": 0, "shardId-0": 0, "-00002147483647": 2147483647, "a-00002147483647": 2147483647,
		"x-1-2": 1, "2147483648": -1, "shardId-002147483648": -1, "ABKLFD8": -1, "2.14E4": -1, "": -1, "-": -1, "a--1": -1,
	}
	for text, want := range cases {
		got, ok := ids.ParseShard(text)
		if ok != (want >= 0) || ok && int64(got) != want {
			t.Errorf("%q: %d %v", text, got, ok)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	buf := make([]byte, 0, 64)
	s := ids.Sequence{Created: 1700000000, Index: 12345, Time: 1700000001}
	key, hash := []byte("player"), []byte("340282366920938463463374607431768211455")
	if n := testing.AllocsPerRun(100, func() {
		buf = s.Append(buf[:0])
		buf = ids.HashOf(key).Append(buf[:0])
		ids.ParseHash(hash)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSequenceAppend(b *testing.B) {
	buf := make([]byte, 0, 64)
	s := ids.Sequence{Created: 1700000000, Index: 12345, Time: 1700000001}
	for b.Loop() {
		s.Index++
		buf = s.Append(buf[:0])
	}
}

func BenchmarkHashOf(b *testing.B) {
	key := []byte("player-1234567")
	for b.Loop() {
		ids.HashOf(key)
	}
}

func TestHashSteps(t *testing.T) {
	for _, c := range []struct{ start, end, middle string }{
		{"0", "340282366920938463463374607431768211455", "170141183460469231731687303715884105728"},
		{"18446744073709551615", "18446744073709551616", "18446744073709551616"},
		{"18446744073709551614", "18446744073709551618", "18446744073709551617"},
		{"340282366920938463463374607431768211454", "340282366920938463463374607431768211455", "340282366920938463463374607431768211455"},
		{"7", "7", "7"},
	} {
		start, _ := ids.ParseHash(c.start)
		end, _ := ids.ParseHash(c.end)
		if got := (ids.Range{start, end}).Middle(); got.String() != c.middle {
			t.Errorf("middle of %s to %s is %s, not %s", c.start, c.end, got, c.middle)
		}
		if got := start.Next().Prev(); got != start || start != ids.MaxHash && start.Next().Compare(start) <= 0 {
			t.Errorf("%v, %v, %v", start, start.Next(), got)
		}
	}
	if ids.MaxHash.Next() != (ids.Hash{}) || (ids.Hash{}).Prev() != ids.MaxHash {
		t.Error("steps beyond the ends")
	}
}
