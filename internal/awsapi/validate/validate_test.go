package validate

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"thalweg/internal/opt"
)

var (
	streamName = String{Size: Size{Min: 1, Max: 128}, Pattern: &Pattern{Text: `[a-zA-Z0-9_.-]+`}}
	iterator   = String{Size: Size{Min: 0, Max: Unbounded}, Enum: []string{"LATEST", "TRIM_HORIZON"}}
	sequence0  = String{Size: Size{Min: 0, Max: Unbounded}, Pattern: &Pattern{Text: `^(0|([1-9]\d{0,128}))$`}}
	tagKey     = String{Size: Size{Min: 1, Max: 128}}
	tagValue   = String{Size: Size{Min: 0, Max: 256}}
	password   = String{Size: Size{Min: 6, Max: 512}, Sensitive: true}
	records    = Size{Min: 1, Max: 500}
	limit      = Number{Min: opt.Of(int64(1)), Max: opt.Of(int64(10000))}
)

// TestWording holds texts that kinesalite recorded from AWS (test/*.js), in the
// order of members used here.
func TestWording(t *testing.T) {
	long := strings.Repeat("a", 130)
	for _, c := range []struct {
		name  string
		check func(*Collector)
		want  string
	}{
		{"valid", func(c *Collector) { Text(c, "streamName", opt.Of("a"), &streamName) }, ""},
		{"absent", func(c *Collector) { Text(c, "streamName", opt.V[string]{}, &streamName) }, ""},
		{"null", func(c *Collector) {
			c.Required("records", false)
			c.Required("streamName", false)
		}, "2 validation errors detected: Value null at 'records' failed to satisfy constraint: Member must not be null; " +
			"Value null at 'streamName' failed to satisfy constraint: Member must not be null"},
		{"empty", func(c *Collector) {
			Count(c, "records", 0, true, "PutRecordsRequestEntry", &records)
			Text(c, "streamName", opt.Of(""), &streamName)
		}, "3 validation errors detected: Value '[]' at 'records' failed to satisfy constraint: " +
			"Member must have length greater than or equal to 1; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
			"Value '' at 'streamName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"long", func(c *Collector) { Text(c, "streamName", opt.Of(long), &streamName) },
			"1 validation error detected: Value '" + long + "' at 'streamName' failed to satisfy constraint: " +
				"Member must have length less than or equal to 128"},
		{"enum", func(c *Collector) { Text(c, "shardIteratorType", opt.Of("X"), &iterator) },
			"1 validation error detected: Value 'X' at 'shardIteratorType' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [LATEST, TRIM_HORIZON]"},
		{"sequence", func(c *Collector) { Text(c, "startingSequenceNumber", opt.Of("01"), &sequence0) },
			"1 validation error detected: Value '01' at 'startingSequenceNumber' failed to satisfy constraint: " +
				`Member must satisfy regular expression pattern: ^(0|([1-9]\d{0,128}))$`},
		{"number", func(c *Collector) {
			Value(c, "limit", opt.Of(int32(0)), &limit)
			Value(c, "limit", opt.Of(int32(100000)), &limit)
		}, "2 validation errors detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1; " +
			"Value '100000' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"},
		{"nested", func(c *Collector) {
			c.EnterItem("records", 0)
			c.Required("partitionKey", false)
			c.Leave()
			c.Enter("shardFilter")
			c.EnterEntry("tags", "k")
			Text(c, "type", opt.Of("X"), &iterator)
		}, "2 validation errors detected: Value null at 'records.1.member.partitionKey' failed to satisfy constraint: Member must not be null; " +
			"Value 'X' at 'shardFilter.tags.k.member.type' failed to satisfy constraint: Member must satisfy enum value set: [LATEST, TRIM_HORIZON]"},
		{"blob", func(c *Collector) { Blob(c, "data", make([]byte, 9), &Size{Max: 8}) },
			"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=9 cap=9]' at 'data' failed to satisfy constraint: " +
				"Member must have length less than or equal to 8"},
		{"items", func(c *Collector) { List(c, "tagKeys", []string{"", "a"}, &Size{Min: 1, Max: 1}, &tagKey) },
			"2 validation errors detected: Value '[, a]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
				"[Member must have length less than or equal to 128, Member must have length greater than or equal to 1]; " +
				"Value '[, a]' at 'tagKeys' failed to satisfy constraint: Member must have length less than or equal to 1"},
		{"entries", func(c *Collector) {
			Map(c, "tags", map[string]string{"": strings.Repeat("v", 257)}, &records, &tagKey, &tagValue)
		}, "2 validation errors detected: Value '{=" + strings.Repeat("v", 257) + "}' at 'tags' failed to satisfy constraint: " +
			"Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]; " +
			"Value '{=" + strings.Repeat("v", 257) + "}' at 'tags' failed to satisfy constraint: " +
			"Map value must satisfy constraint: [Member must have length less than or equal to 256]"},
		{"sensitive", func(c *Collector) { Text(c, "password", opt.Of("abc"), &password) },
			"1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length greater than or equal to 6"},
	} {
		var col Collector
		c.check(&col)
		if got := col.Message(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestBounded(t *testing.T) {
	var c Collector
	huge := strings.Repeat("\u00e9", 1<<20)
	for range 50 {
		Text(&c, "streamName", opt.Of(huge), &streamName)
		c.Required("x", false)
	}
	got := c.Message()
	if !strings.HasPrefix(got, "10 validation errors detected: ") || len(got) > 12*MaxValue {
		t.Errorf("%d bytes: %.60s", len(got), got)
	}
	c = Collector{}
	Count(&c, "records", 10_000_000, true, "Entry", &records)
	if got := c.Message(); len(got) > 2*MaxValue {
		t.Errorf("%d bytes", len(got))
	}
}

func TestLengthCountsCharacters(t *testing.T) {
	var c Collector
	Text(&c, "k", opt.Of(strings.Repeat("\U0001F600", 128)), &tagKey)
	if msg := c.Message(); msg != "" {
		t.Error(msg)
	}
}

// TestSequence compares the matcher of sequences with regexp, on texts made from
// the expressions' own characters.
func TestSequence(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, expr := range []string{
		`[a-zA-Z0-9_.-]+`, `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, `arn:.*`, `[^:*]*`, `[0-9]{2,4}x?`, `a*a*b`, `.+`, `\S+\.x`, `[]a]+`,
		`arn:aws[-a-z0-9]*:s3:::[a-z0-9._-]{3,30}`, `a{2,}b{0,2}c{3}`, `[a-zA-Z0-9\\._\\-]+`, `x?x?x?xxx`,
	} {
		match := sequence(expr)
		if match == nil {
			t.Errorf("%s: no sequence", expr)
			continue
		}
		re := regexp.MustCompile(whole(expr))
		alphabet := []rune("aabx:::///*.-_\\0123456789 \n\u00e9]" + expr)
		for range 3000 {
			var b strings.Builder
			if rng.IntN(2) == 0 {
				b.WriteString("arn:aws:kinesis:r:123456789012:stream/a")
			}
			for range rng.IntN(12) {
				b.WriteRune(alphabet[rng.IntN(len(alphabet))])
			}
			s := b.String()
			if got, want := match(s), re.MatchString(s); got != want {
				t.Fatalf("%s on %q: %v, want %v", expr, s, got, want)
			}
		}
	}
	for _, expr := range []string{`a|b`, `(ab)+`, `a+?`, `^a`, `a{70}`, `\pL`, `a{`, `[`, `a{2,1}`} {
		if sequence(expr) != nil {
			t.Errorf("%s: taken for a sequence", expr)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, expr := range []string{`^(0|([1-9]\d{0,3}))$`, `0|([1-9]\d{0,3})`} {
		p := Pattern{Text: expr}
		for s, want := range map[string]bool{"0": true, "1": true, "9999": true, "10000": false, "": false, "01": false, "-1": false, "1a": false} {
			if p.Match(s) != want {
				t.Errorf("%s on %q: %v", expr, s, !want)
			}
		}
	}
}

func BenchmarkStreamARN(b *testing.B) {
	p := Pattern{Text: `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`}
	const arn = "arn:aws:kinesis:us-east-1:123456789012:stream/player-events"
	for b.Loop() {
		if !p.Match(arn) {
			b.Fatal("no match")
		}
	}
}
