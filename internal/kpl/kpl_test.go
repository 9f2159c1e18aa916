package kpl

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"thalweg/internal/ids"
)

// seal makes an aggregate of a message, good or bad.
func seal(message []byte) []byte {
	sum := md5.Sum(message)
	return slices.Concat([]byte(magic), message, sum[:])
}

func all(t *testing.T, a Aggregate) (out []Record) {
	for i, r := range a.Records() {
		if i != len(out) {
			t.Fatalf("sub-sequence number %d is the %dth", i, len(out))
		}
		out = append(out, r)
	}
	return out
}

var whole = ids.Range{End: ids.MaxHash}

func TestAppendIsTheFormat(t *testing.T) {
	got := Append(nil, []Record{
		{PartitionKey: []byte("a"), ExplicitHashKey: []byte("7"), Data: []byte("x")},
		{PartitionKey: []byte("b"), Data: []byte("yz")},
		{PartitionKey: []byte("a"), ExplicitHashKey: []byte("7"), Data: nil},
	})
	message, err := hex.DecodeString(strings.Join([]string{
		"0a0161", "120137", "0a0162", // tables: "a", "7", "b"
		"1a07" + "0800" + "1000" + "1a0178",
		"1a06" + "0801" + "1a02797a",
		"1a06" + "0800" + "1000" + "1a00",
	}, ""))
	if err != nil {
		t.Fatal(err)
	}
	if want := seal(message); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestRoundTrip holds Parse against Append.
func TestRoundTrip(t *testing.T) {
	record := rapid.Custom(func(t *rapid.T) Record {
		r := Record{PartitionKey: []byte(rapid.StringN(1, 4, -1).Draw(t, "key")), Data: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "data")}
		if rapid.Bool().Draw(t, "hashed") {
			r.ExplicitHashKey = ids.Hash{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64().Draw(t, "lo")}.Append(nil)
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(record, 1, 20).Draw(t, "records")
		a, ok := Parse(Append(nil, want))
		if !ok || a.Len() != len(want) {
			t.Fatalf("parsed %v with %d records, want %d", ok, a.Len(), len(want))
		}
		for i, r := range a.Records() {
			w := want[i]
			if !bytes.Equal(r.PartitionKey, w.PartitionKey) || !bytes.Equal(r.ExplicitHashKey, w.ExplicitHashKey) || !bytes.Equal(r.Data, w.Data) {
				t.Fatalf("record %d is %q, want %q", i, r, w)
			}
		}
		if !a.In(whole) {
			t.Fatal("not within the whole key space")
		}
	})
}

func TestInIsAllOrNothing(t *testing.T) {
	a, ok := Parse(Append(nil, []Record{
		{PartitionKey: []byte("a"), ExplicitHashKey: []byte("0100")},
		{PartitionKey: []byte("a"), ExplicitHashKey: []byte("200")},
	}))
	if !ok {
		t.Fatal("leading zeros are no reason for a plain record")
	}
	for _, c := range []struct {
		from, to uint64
		want     bool
	}{{100, 200, true}, {101, 200, false}, {100, 199, false}, {0, 50, false}} {
		r := ids.Range{Start: ids.Hash{Lo: c.from}, End: ids.Hash{Lo: c.to}}
		if got := a.In(r); got != c.want {
			t.Errorf("in %d to %d: %v", c.from, c.to, got)
		}
	}
	key := ids.HashOf([]byte("a"))
	a, _ = Parse(Append(nil, []Record{{PartitionKey: []byte("a")}}))
	if !a.In(ids.Range{Start: key, End: key}) {
		t.Error("without an explicit hash key the partition key counts")
	}
}

// TestPlain lists what is no aggregate.
func TestPlain(t *testing.T) {
	good := Append(nil, []Record{{PartitionKey: []byte("a"), ExplicitHashKey: []byte("1"), Data: []byte("x")}})
	if _, ok := Parse(good); !ok {
		t.Fatal("the good one is none")
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-1] ^= 1
	key := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "a")
	hash := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "nine")
	tooBig := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), "340282366920938463463374607431768211456")
	record := func(hexed string) []byte {
		b, err := hex.DecodeString(hexed)
		if err != nil {
			t.Fatal(err)
		}
		return protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), b)
	}
	for name, data := range map[string][]byte{
		"nothing":            nil,
		"only the magic":     []byte(magic),
		"no message":         seal(nil),
		"a wrong digest":     flipped,
		"a wrong magic":      append([]byte{0}, good[1:]...),
		"cut":                good[:len(good)-1],
		"no key index":       seal(slices.Concat(key, record("1a00"))),
		"no data":            seal(slices.Concat(key, record("0800"))),
		"key beyond table":   seal(slices.Concat(key, record("08011a00"))),
		"hash beyond table":  seal(slices.Concat(key, record("080010001a00"))),
		"hash is no number":  seal(slices.Concat(key, hash, record("080010001a00"))),
		"hash is too big":    seal(slices.Concat(key, tooBig, record("080010001a00"))),
		"a tag without key":  seal(slices.Concat(key, record("08001a00"+"2200"))),
		"a cut field":        seal(slices.Concat(key, []byte{0x1a, 5})),
		"field number zero":  seal(slices.Concat(key, []byte{0, 0})),
		"an unclosed group":  seal(slices.Concat(key, []byte{0x2b})),
		"a too long varint":  seal(slices.Concat(key, record("08ffffffffffffffffffff011a00"))),
		"broken within data": seal(slices.Concat(key, record("08001a05"))),
	} {
		if a, ok := Parse(data); ok {
			t.Errorf("%s: %q", name, all(t, a))
		}
	}
	for name, data := range map[string][]byte{
		"unknown fields":       seal(slices.Concat(key, []byte{0x20, 1}, record("08001a00"+"2800"+"3d00000000"))),
		"tables behind":        seal(slices.Concat(record("08001a00"), key)),
		"a tag":                seal(slices.Concat(key, record("08001a00"+"22030a0162"))),
		"the last index":       seal(slices.Concat(key, record("0805"+"0800"+"1a00"))),
		"index of wrong type":  seal(slices.Concat(key, record("0800"+"0d01000000"+"1a00"))),
		"a table of long type": seal(slices.Concat(key, []byte{0x08, 1}, record("08001a00"))),
	} {
		if a, ok := Parse(data); !ok || a.Len() != 1 {
			t.Errorf("%s: refused", name)
		}
	}
	if a, ok := Parse(seal(key)); !ok || a.Len() != 0 {
		t.Error("an aggregate of nothing is one")
	}
}

// TestParseHoldsLittle has the longest tables that fit into a record.
func TestParseHoldsLittle(t *testing.T) {
	data := seal(bytes.Repeat([]byte{0x0a, 0}, 1<<19))
	a, ok := Parse(data)
	if !ok {
		t.Fatal("refused")
	}
	// append's growth leaves up to a quarter unused.
	if held, limit := 4*cap(a.keys.at), 5*len(data)/2; held > limit {
		t.Errorf("%d bytes held for %d", held, len(data))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x0a, 1, 'a', 0x1a, 4, 8, 0, 0x1a, 0})
	f.Add(Append(nil, []Record{{PartitionKey: []byte("a"), ExplicitHashKey: []byte("1"), Data: []byte("x")}})[len(magic):])
	f.Fuzz(func(t *testing.T, message []byte) {
		Parse(message)
		data := seal(message)
		before := bytes.Clone(data)
		a, ok := Parse(data)
		if !bytes.Equal(before, data) {
			t.Fatal("changed what it parsed")
		}
		if !ok {
			return
		}
		records := all(t, a)
		if len(records) != a.Len() {
			t.Fatalf("%d records, %d by Len", len(records), a.Len())
		}
		if len(records) == 0 {
			return
		}
		again, ok := Parse(Append(nil, records))
		if !ok || again.Len() != a.Len() || again.In(whole) != a.In(whole) {
			t.Fatalf("packed once more: %v, %d records", ok, again.Len())
		}
	})
}
