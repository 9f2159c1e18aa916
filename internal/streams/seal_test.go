package streams

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thalweg/internal/catalog"
)

var (
	here      = catalog.Scope{Account: "000000000000", Region: "us-east-1"}
	elsewhere = catalog.Scope{Account: "000000000000", Region: "us-east-2"}
	other     = catalog.Scope{Account: "111111111111", Region: "us-east-1"}
)

func testSealer(t interface{ Fatal(...any) }, secret byte, salt string) *sealer {
	s, err := newSealer([32]byte{secret}, strings.NewReader(salt))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealRoundTrip(t *testing.T) {
	before := testSealer(t, 1, "salt of process1")
	after := testSealer(t, 1, "salt of process2")
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "payload")
		issued := rapid.Int64().Draw(t, "issued")
		text := before.appendSealed([]byte("x"), iteratorToken, here, issued, payload)[1:]
		raw, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil || len(text) > 512 || len(raw) < 152 || (len(raw)-152)%16 != 0 ||
			!bytes.HasPrefix(raw, []byte{0, 0, 0, 0, 0, 0, 0, 1}) {
			t.Fatalf("form of %s (%d bytes): %v", text, len(raw), err)
		}
		for _, s := range []*sealer{before, after} {
			gotIssued, got, err := s.open(iteratorToken, here, text)
			if err != nil || gotIssued != issued || !bytes.HasPrefix(got, payload) || len(bytes.Trim(got[len(payload):], "\x00")) != 0 {
				t.Fatalf("%d %x %v", gotIssued, got, err)
			}
		}
	})
}

func TestSealBinds(t *testing.T) {
	s := testSealer(t, 1, "salt of process1")
	text := s.appendSealed(nil, iteratorToken, here, 5, []byte("payload"))
	if bytes.Equal(text, s.appendSealed(nil, iteratorToken, here, 5, []byte("payload"))) {
		t.Error("the same token twice")
	}
	for name, open := range map[string]func() error{
		"other kind":    func() error { _, _, err := s.open(shardsToken, here, text); return err },
		"other region":  func() error { _, _, err := s.open(iteratorToken, elsewhere, text); return err },
		"other account": func() error { _, _, err := s.open(iteratorToken, other, text); return err },
		"other secret": func() error {
			_, _, err := testSealer(t, 2, "salt of process1").open(iteratorToken, here, text)
			return err
		},
	} {
		if open() != errToken {
			t.Errorf("%s: opens", name)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x40
		if _, _, err := s.open(iteratorToken, here, base64.StdEncoding.AppendEncode(nil, bad)); err != errToken {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for cut := 1; cut < len(text); cut++ {
		if _, _, err := s.open(iteratorToken, here, text[:len(text)-cut]); err != errToken {
			t.Fatalf("cut by %d: %v", cut, err)
		}
	}
}

func FuzzOpenToken(f *testing.F) {
	s := testSealer(f, 1, "salt of process1")
	f.Add(s.appendSealed(nil, iteratorToken, here, 5, []byte("payload")))
	f.Add([]byte(`"AAAAAAAAAAE="`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, _, err := s.open(streamsToken, here, text); err == nil {
			t.Fatalf("%s opens", text)
		}
	})
}
