package eventstream_test

import (
	"bytes"
	"errors"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"thalweg/internal/awsapi/codec/eventstream"
)

var headers = []eventstream.Header{
	{Name: ":event-type", Value: "SubscribeToShardEvent"}, {Name: ":content-type", Value: "application/json"}, {Name: "empty", Value: ""},
}

func message(dst, payload []byte, headers ...eventstream.Header) []byte {
	start := len(dst)
	return eventstream.End(append(eventstream.Begin(dst, headers...), payload...), start)
}

// TestAgainstSDK has AWS's own decoder read what is written here, and reads what
// AWS's own encoder writes.
func TestAgainstSDK(t *testing.T) {
	for _, payload := range [][]byte{nil, []byte("{}"), bytes.Repeat([]byte{0, 0xFF}, 1<<20)} {
		raw := message([]byte("before"), payload, headers...)[len("before"):]
		theirs, err := sdk.NewDecoder().Decode(bytes.NewReader(raw), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			if v := theirs.Headers.Get(h.Name); v == nil || v.String() != h.Value {
				t.Errorf("header %s: %v", h.Name, v)
			}
		}
		if !bytes.Equal(theirs.Payload, payload) {
			t.Errorf("payload of %d bytes read as %d", len(payload), len(theirs.Payload))
		}
	}
	var all sdk.Headers
	for _, v := range []sdk.Value{
		sdk.BoolValue(true), sdk.BoolValue(false), sdk.Int8Value(1), sdk.Int16Value(2), sdk.Int32Value(3), sdk.Int64Value(4),
		sdk.BytesValue("raw"), sdk.StringValue("text"), sdk.TimestampValue{}, sdk.UUIDValue{1},
	} {
		all.Set("h"+v.String(), v)
	}
	var out bytes.Buffer
	if err := sdk.NewEncoder().Encode(&out, sdk.Message{Headers: all, Payload: []byte("p")}); err != nil {
		t.Fatal(err)
	}
	m, n, err := eventstream.Parse(append(out.Bytes(), "next"...))
	if err != nil || n != out.Len() || string(m.Payload) != "p" || m.Header("htext") != "text" || m.Header("htrue") != "" {
		t.Errorf("%+v %d %v", m, n, err)
	}
}

func TestParseRefuses(t *testing.T) {
	raw := message(nil, []byte("payload"), headers...)
	for n := range raw {
		if _, _, err := eventstream.Parse(raw[:n]); !errors.Is(err, eventstream.ErrShort) {
			t.Errorf("%d of %d bytes: %v", n, len(raw), err)
		}
	}
	for bit := range 8 * len(raw) {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, _, err := eventstream.Parse(bad); err == nil {
			t.Errorf("bit %d flipped, and nobody noticed", bit)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message(nil, []byte("{}"), headers...))
	f.Add(message(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := eventstream.Parse(b)
		if err != nil {
			return
		}
		again, _, err := eventstream.Parse(message(nil, m.Payload, m.Headers...))
		if n > len(b) || err != nil || !bytes.Equal(again.Payload, m.Payload) || len(again.Headers) != len(m.Headers) {
			t.Errorf("%d %v %+v %+v", n, err, m, again)
		}
	})
}

// FuzzHeaders has arbitrary bytes stand as headers in a message that is otherwise
// sound, where no checksum keeps them away.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte("\x01a\x07\x00\x01b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > eventstream.MaxHeaders {
			return
		}
		raw := eventstream.Begin(nil)
		raw = append(raw, b...)
		raw[4], raw[5], raw[6], raw[7] = byte(len(b)>>24), byte(len(b)>>16), byte(len(b)>>8), byte(len(b))
		raw = eventstream.End(raw, 0)
		m, n, err := eventstream.Parse(raw)
		if err == nil && (n != len(raw) || len(m.Payload) != 0) || err != nil && !errors.Is(err, eventstream.ErrInvalid) {
			t.Errorf("%+v %d %v", m, n, err)
		}
	})
}
