package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/sigv4"
)

var start = time.Date(2026, 11, 23, 5, 20, 0, 0, time.UTC)

// memory is a journal that applies events as it is given them.
type memory struct {
	keys   *Keys
	events [][]byte
	fail   error
}

func (m *memory) Append(_ context.Context, event []byte) error {
	if m.fail != nil {
		return m.fail
	}
	m.events = append(m.events, bytes.Clone(event))
	return m.keys.Apply(event)
}

func newKeys(t testing.TB, store *Keystore) (*Keys, *memory) {
	t.Helper()
	k, err := NewKeys(store, clock.NewManual(start))
	if err != nil {
		t.Fatal(err)
	}
	j := &memory{keys: k}
	k.Attach(j)
	return k, j
}

func create(t testing.TB, k *Keys, account, user string) (Key, Secret) {
	t.Helper()
	key, secret, err := k.Create(t.Context(), account, user)
	if err != nil {
		t.Fatal(err)
	}
	return key, secret
}

const (
	accountA = "111111111111"
	accountB = "222222222222"
)

func TestCreate(t *testing.T) {
	k, j := newKeys(t, NewKeystore())
	key, secret := create(t, k, accountA, "alice")
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(key.ID) {
		t.Errorf("id %q", key.ID)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(secret.Reveal()) {
		t.Error("secret has not 40 characters")
	}
	want := Key{ID: key.ID, Account: accountA, PrincipalARN: "arn:aws:iam::111111111111:user/alice", Created: start, State: Enabled}
	if key != want {
		t.Errorf("%+v\nwant %+v", key, want)
	}
	if got, version, ok := k.Secret(key.ID); !ok || got.Reveal() != secret.Reveal() || version == 0 {
		t.Error("secret is not found again")
	}
	root, _ := create(t, k, accountB, Root)
	if root.PrincipalARN != "arn:aws:iam::222222222222:root" {
		t.Error(root.PrincipalARN)
	}
	// Neither what is stored nor what is printed has the secret.
	text := fmt.Sprintf("%v %+v %#v", k.get(key.ID), *k.get(key.ID), k.List()) + string(bytes.Join(j.events, nil))
	js, err := json.Marshal(k.get(key.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{text, string(js)} {
		if strings.Contains(s, secret.Reveal()) {
			t.Errorf("secret shows in %s", s)
		}
	}
	for _, bad := range [][2]string{{"1", "u"}, {"11111111111a", "u"}, {accountA, ""}, {accountA, "a b"}, {accountA, strings.Repeat("u", 65)}, {accountA, "a/b"}} {
		if _, _, err := k.Create(t.Context(), bad[0], bad[1]); errs.KindOf(err) != errs.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestReplay rebuilds the set from its events, from a snapshot, and with another
// keystore.
func TestReplay(t *testing.T) {
	store := NewKeystore()
	k, j := newKeys(t, store)
	a, secret := create(t, k, accountA, "alice")
	b, _ := create(t, k, accountB, "bob")
	c, _ := create(t, k, accountA, "carol")
	if err := k.SetState(t.Context(), b.ID, Disabled); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	var snapshot [][]byte
	k.Snapshot(func(e []byte) { snapshot = append(snapshot, bytes.Clone(e)) })
	for name, events := range map[string][][]byte{"events": j.events, "snapshot": snapshot} {
		again, _ := newKeys(t, store)
		for _, e := range events {
			if err := again.Apply(e); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if got, want := fmt.Sprint(again.List()), fmt.Sprint(k.List()); got != want {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
		if got, _, ok := again.Secret(a.ID); !ok || got.Reveal() != secret.Reveal() {
			t.Errorf("%s: another secret", name)
		}
		if _, _, ok := again.Secret(b.ID); ok {
			t.Errorf("%s: the secret of a disabled key is given out", name)
		}
		again.Reset()
		if len(again.List()) != 0 {
			t.Errorf("%s: keys after Reset", name)
		}
	}
	other, _ := newKeys(t, NewKeystore())
	if err := other.Apply(j.events[0]); errs.KindOf(err) != errs.Corrupt || !strings.Contains(err.Error(), "keystore") {
		t.Errorf("another keystore: %v", err)
	}
	// A sealed secret is of no use in another key's event.
	var e map[string]any
	if err := json.Unmarshal(j.events[0], &e); err != nil {
		t.Fatal(err)
	}
	e["account"] = accountB
	moved, _ := json.Marshal(e)
	for _, event := range []string{string(moved), "", "{}", `{"id":"x","state":"enabled"}`, `{"id":"x","state":"deleted","new":1}`} {
		if err := k.Apply([]byte(event)); errs.KindOf(err) != errs.Corrupt {
			t.Errorf("%s: %v", event, err)
		}
	}
}

func TestKeyErrors(t *testing.T) {
	k, j := newKeys(t, NewKeystore())
	key, _ := create(t, k, accountA, "alice")
	if err := k.Delete(t.Context(), "AKIANONE"); errs.KindOf(err) != errs.NotFound {
		t.Error(err)
	}
	if err := k.SetState(t.Context(), key.ID, "other"); errs.KindOf(err) != errs.Invalid {
		t.Error(err)
	}
	j.fail = errs.New(errs.ReadOnly, "disk")
	if _, _, err := k.Create(t.Context(), accountA, "bob"); errs.KindOf(err) != errs.ReadOnly {
		t.Error(err)
	}
	if err := k.SetState(t.Context(), key.ID, Disabled); !errors.Is(err, j.fail) {
		t.Error(err)
	}
	if got, _ := k.Get(key.ID); got.State != Enabled || len(k.List()) != 1 {
		t.Error("a failed change took effect")
	}
	detached, err := NewKeys(NewKeystore(), clock.NewManual(start))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := detached.Create(t.Context(), accountA, "bob"); errs.KindOf(err) != errs.Closed {
		t.Error(err)
	}
}

// request returns a request of a service signed with a key, and its body.
func request(key, secret, service, region string) (*http.Request, []byte) {
	body := []byte("{}")
	r := httptest.NewRequest("POST", "http://localhost:4566/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "Kinesis_20131202.PutRecord")
	s := sigv4.Signer{AccessKeyID: key, Secret: sigv4.NewSecret(secret), Region: region, Service: service, Clock: clock.NewManual(start)}
	s.Sign(r, body)
	return r, body
}

func TestOpenMode(t *testing.T) {
	k, _ := newKeys(t, NewKeystore())
	known, _ := create(t, k, accountB, "bob")
	u := New(Config{Mode: Open, Clock: clock.NewManual(start.Add(100 * 24 * time.Hour)), Keys: k, Account: "000000000000", Region: "us-east-1"})
	for _, c := range []struct {
		key, region, host          string
		account, got, principalARN string
	}{
		{"test", "eu-west-1", "", "000000000000", "eu-west-1", "arn:aws:iam::000000000000:root"},
		{accountA, "us-east-1", "", accountA, "us-east-1", "arn:aws:iam::111111111111:root"},
		{known.ID, "us-east-1", "", accountB, "us-east-1", known.PrincipalARN},
		{"test", "", "", "000000000000", "us-east-1", "arn:aws:iam::000000000000:root"},
		{"test", "us-east-1", accountA + ".data-kinesis.us-east-1.amazonaws.com", accountA, "us-east-1", "arn:aws:iam::111111111111:root"},
		{accountB, "us-east-1", accountA + ".data-kinesis.us-east-1.amazonaws.com", accountB, "us-east-1", "arn:aws:iam::222222222222:root"},
	} {
		r, body := request(c.key, "wrong", "s3", c.region)
		if c.host != "" {
			r.Host = c.host
		}
		got, err := u.Authenticate(r, "kinesis", body)
		want := awsapi.Caller{Account: c.account, Region: c.got, AccessKeyID: c.key, PrincipalARN: c.principalARN}
		if err != nil || got != want {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
	r, body := request("test", "x", "kinesis", "us-east-1/../x")
	if _, err := u.Authenticate(r, "kinesis", body); err == nil {
		t.Error("a region that is none")
	}
	r, body = request("test", "x", "kinesis", "US_EAST")
	wantError(t, u, r, "kinesis", body, "InvalidSignatureException", 400)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test")
	wantError(t, u, r, "kinesis", body, "IncompleteSignatureException", 400)
	r.Header.Del("Authorization")
	wantError(t, u, r, "kinesis", body, "MissingAuthenticationTokenException", 400)
	wantError(t, u, r, "kafka", body, "MissingAuthenticationTokenException", 403)
}

func wantError(t *testing.T, u *Authority, r *http.Request, service string, body []byte, code string, status int) {
	t.Helper()
	c, err := u.Authenticate(r, service, body)
	if err == nil || err.Code != code || err.Status != status || err.Message == "" || c != (awsapi.Caller{}) {
		t.Errorf("%+v %+v, want %s %d", c, err, code, status)
	}
}

func TestStrictMode(t *testing.T) {
	k, _ := newKeys(t, NewKeystore())
	key, secret := create(t, k, accountA, "alice")
	u := New(Config{Clock: clock.NewManual(start), Keys: k, Account: "000000000000", Region: "us-east-1"})
	r, body := request(key.ID, secret.Reveal(), "kinesis", "eu-west-1")
	got, err := u.Authenticate(r, "kinesis", body)
	want := awsapi.Caller{Account: accountA, Region: "eu-west-1", AccessKeyID: key.ID, PrincipalARN: key.PrincipalARN}
	if err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	wantError(t, u, r, "firehose", body, "InvalidSignatureException", 400)
	wantError(t, u, r, "kinesis", []byte("{ }"), "InvalidSignatureException", 400)

	forged, body := request(key.ID, "wrong", "kinesis", "eu-west-1")
	wantError(t, u, forged, "kinesis", body, "InvalidSignatureException", 400)
	wantError(t, u, forged, "kafka", body, "InvalidSignatureException", 403)
	// An account id is no key here.
	digits, body := request(accountA, "test", "kinesis", "eu-west-1")
	wantError(t, u, digits, "kinesis", body, "UnrecognizedClientException", 400)

	region, body := request(key.ID, secret.Reveal(), "kinesis", "EU/WEST")
	wantError(t, u, region, "kinesis", body, "IncompleteSignatureException", 400)
	region, body = request(key.ID, secret.Reveal(), "kinesis", "EU_WEST")
	wantError(t, u, region, "kinesis", body, "InvalidSignatureException", 400)

	token, body := request(key.ID, secret.Reveal(), "kinesis", "eu-west-1")
	token.Header.Set("X-Amz-Security-Token", "x")
	wantError(t, u, token, "kinesis", body, "UnrecognizedClientException", 400)

	for host, code := range map[string]string{
		accountA + ".data-kinesis.eu-west-1.amazonaws.com": "",
		accountB + ".data-kinesis.eu-west-1.amazonaws.com": "AccessDeniedException",
		"kinesis.eu-west-1.amazonaws.com":                  "",
	} {
		body := []byte("{}")
		r := httptest.NewRequest("POST", "http://"+host+"/", bytes.NewReader(body))
		s := sigv4.Signer{AccessKeyID: key.ID, Secret: secret, Region: "eu-west-1", Service: "kinesis", Clock: clock.NewManual(start)}
		s.Sign(r, body)
		if code != "" {
			wantError(t, u, r, "kinesis", body, code, 400)
		} else if _, err := u.Authenticate(r, "kinesis", body); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}

	// Revocation holds from the next request on.
	for _, step := range []struct {
		do func() error
		ok bool
	}{
		{func() error { return k.SetState(t.Context(), key.ID, Disabled) }, false},
		{func() error { return k.SetState(t.Context(), key.ID, Enabled) }, true},
		{func() error { return k.Delete(t.Context(), key.ID) }, false},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if step.ok {
			if _, err := u.Authenticate(r, "kinesis", []byte("{}")); err != nil {
				t.Error(err)
			}
		} else {
			wantError(t, u, r, "kinesis", []byte("{}"), "UnrecognizedClientException", 400)
		}
	}
}

func TestDecide(t *testing.T) {
	const me = "arn:aws:iam::111111111111:user/alice"
	u := New(Config{Clock: clock.NewManual(start), Keys: &Keys{}})
	for _, c := range []struct {
		principal, account, action, resource string
		want                                 bool
	}{
		{me, accountA, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:111111111111:stream/s", true},
		{me, accountA, "kinesis:PutRecord", "arn:aws-cn:kinesis:cn-north-1:111111111111:stream/s", true},
		{me, accountA, "kinesis:ListStreams", "*", true},
		{me, accountA, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:222222222222:stream/s", false},
		{me, accountA, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1::stream/s", false},
		{me, accountA, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:111111111111:", false},
		{me, accountA, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:*:stream/s", false},
		{me, accountA, "kinesis:PutRecord", "111111111111", false},
		{me, accountA, "kinesis:PutRecord", "", false},
		{me, accountA, "", "*", false},
		{me, "", "kinesis:PutRecord", "*", false},
		{me, "", "kinesis:PutRecord", "arn:aws:kinesis:us-east-1::stream/s", false},
		{"", accountA, "kinesis:PutRecord", "*", false},
	} {
		err := u.Authorize(awsapi.Caller{PrincipalARN: c.principal, Account: c.account}, c.action, c.resource)
		if got := err == nil; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if err := u.Authorize(awsapi.Caller{}, "kinesis:PutRecord", "*"); err == nil {
		t.Error("nobody is allowed")
	}
	c := awsapi.Caller{Account: accountA, PrincipalARN: me}
	if err := u.Authorize(c, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:111111111111:stream/s"); err != nil {
		t.Error(err)
	}
	err := u.Authorize(c, "kinesis:PutRecord", "arn:aws:kinesis:us-east-1:222222222222:stream/s")
	const text = "User: arn:aws:iam::111111111111:user/alice is not authorized to perform: kinesis:PutRecord on resource: " +
		"arn:aws:kinesis:us-east-1:222222222222:stream/s because no resource-based policy allows the kinesis:PutRecord action"
	if err == nil || err.Code != "AccessDeniedException" || err.Status != 400 || err.Message != text {
		t.Errorf("%+v", err)
	}
}

// TestConcurrent changes keys while others authenticate.
func TestConcurrent(t *testing.T) {
	k, _ := newKeys(t, NewKeystore())
	key, secret := create(t, k, accountA, "alice")
	u := New(Config{Clock: clock.NewManual(start), Keys: k})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				r, body := request(key.ID, secret.Reveal(), "kinesis", "us-east-1")
				if _, err := u.Authenticate(r, "kinesis", body); err != nil && err.Code != "UnrecognizedClientException" {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 100 {
			state := Disabled
			if i%2 == 1 {
				state = Enabled
			}
			if err := k.SetState(context.Background(), key.ID, state); err != nil {
				t.Error(err)
			}
			k.Snapshot(func([]byte) {})
		}
	})
	wg.Wait()
	r, body := request(key.ID, secret.Reveal(), "kinesis", "us-east-1")
	if _, err := u.Authenticate(r, "kinesis", body); err != nil {
		t.Error(err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"id":"AKIAX","account":"111111111111","principal":"p","created":"2026-11-23T05:20:00Z","state":"enabled","secret":"AAAA"}`))
	f.Add([]byte(`{"id":"AKIAX","state":"deleted"}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		k, _ := newKeys(t, NewKeystore())
		if err := k.Apply(event); err == nil && len(k.List()) != 0 {
			t.Error("a key from nowhere")
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	k, _ := newKeys(b, NewKeystore())
	key, secret := create(b, k, accountA, "alice")
	r, body := request(key.ID, secret.Reveal(), "kinesis", "us-east-1")
	for name, mode := range map[string]Mode{"open": Open, "strict": Strict} {
		b.Run(name, func(b *testing.B) {
			u := New(Config{Mode: mode, Clock: clock.NewManual(start), Keys: k, Account: "000000000000", Region: "us-east-1"})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := u.Authenticate(r, "kinesis", body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
