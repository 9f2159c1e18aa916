package brokers

import (
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"

	"thalweg/internal/clock"
	"thalweg/internal/limits"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/vfs"
)

func testSeal(t testing.TB) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

func openSecurity(t testing.TB, l log.Log) *Security {
	t.Helper()
	s, err := OpenSecurity(t.Context(), SecurityOptions{Log: l, Partition: log.PartitionID{Index: 3}, Clock: clock.System(), Seal: testSeal(t), Keys: fixedKeys{}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSecurity(t testing.TB) (*Security, log.Log) {
	t.Helper()
	l, err := disk.Open(t.Context(), disk.Options{FS: vfs.NewEphemeral(), Dir: "/data", Clock: clock.System(), Memory: limits.NewBudget(64 << 20), WALFileBytes: 4 << 20, TailBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(t.Context()) })
	return openSecurity(t, l), l
}

// TestRules is the truth table of what ACLs say.
func TestRules(t *testing.T) {
	acl := func(p Pattern, name, principal, host string, op Operation, permission Permission) ACL {
		return ACL{Kind: TopicKind, Name: name, Pattern: p, Principal: principal, Host: host, Operation: op, Permission: permission}
	}
	const lit, pre, yes, no = PatternLiteral, PatternPrefixed, PermissionAllow, PermissionDeny
	for name, tc := range map[string]struct {
		rules []ACL
		op    Operation
		want  bool
	}{
		"nothing":                 {nil, OpRead, false},
		"its name":                {[]ACL{acl(lit, "orders", "User:ada", "*", OpRead, yes)}, OpRead, true},
		"another operation":       {[]ACL{acl(lit, "orders", "User:ada", "*", OpRead, yes)}, OpWrite, false},
		"another name":            {[]ACL{acl(lit, "order", "User:ada", "*", OpRead, yes)}, OpRead, false},
		"another principal":       {[]ACL{acl(lit, "orders", "User:ad", "*", OpRead, yes)}, OpRead, false},
		"another kind of it":      {[]ACL{acl(lit, "orders", "Group:ada", "*", OpRead, yes)}, OpRead, false},
		"another host":            {[]ACL{acl(lit, "orders", "User:ada", "10.0.0.2", OpRead, yes)}, OpRead, false},
		"its host":                {[]ACL{acl(lit, "orders", "User:ada", "10.0.0.1", OpRead, yes)}, OpRead, true},
		"a prefix":                {[]ACL{acl(pre, "ord", "User:ada", "*", OpRead, yes)}, OpRead, true},
		"a prefix of itself":      {[]ACL{acl(pre, "orders", "User:ada", "*", OpRead, yes)}, OpRead, true},
		"a longer prefix":         {[]ACL{acl(pre, "orders-", "User:ada", "*", OpRead, yes)}, OpRead, false},
		"a prefix that is a star": {[]ACL{acl(pre, "*", "User:ada", "*", OpRead, yes)}, OpRead, false},
		"a literal star":          {[]ACL{acl(lit, "*", "User:ada", "*", OpRead, yes)}, OpRead, true},
		"everybody":               {[]ACL{acl(lit, "orders", "User:*", "*", OpRead, yes)}, OpRead, true},
		"everything":              {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes)}, OpAlterConfigs, true},
		"describe by read":        {[]ACL{acl(lit, "orders", "User:ada", "*", OpRead, yes)}, OpDescribe, true},
		"describe by create":      {[]ACL{acl(lit, "orders", "User:ada", "*", OpCreate, yes)}, OpDescribe, false},
		"configs by alter":        {[]ACL{acl(lit, "orders", "User:ada", "*", OpAlterConfigs, yes)}, OpDescribeConfigs, true},
		"denied by a prefix":      {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes), acl(pre, "o", "User:ada", "*", OpRead, no)}, OpRead, false},
		"denied by a star":        {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes), acl(lit, "*", "User:*", "*", OpAll, no)}, OpRead, false},
		"denied to another":       {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes), acl(lit, "*", "User:eve", "*", OpAll, no)}, OpRead, true},
		"denied elsewhere":        {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes), acl(lit, "*", "User:ada", "10.0.0.2", OpAll, no)}, OpRead, true},
		"denying read is not describe": {[]ACL{acl(lit, "orders", "User:ada", "*", OpAll, yes), acl(lit, "orders", "User:ada", "*", OpRead, no)},
			OpDescribe, true},
		"describe denied, read not": {[]ACL{acl(lit, "orders", "User:ada", "*", OpRead, yes), acl(lit, "orders", "User:ada", "*", OpDescribe, no)},
			OpRead, true},
	} {
		s, _ := newSecurity(t)
		for _, err := range s.CreateACLs(t.Context(), tc.rules) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := s.May("User:ada", "10.0.0.1", tc.op, TopicKind, "orders"); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
		if s.May("User:ada", "10.0.0.1", tc.op, GroupKind, "orders") {
			t.Errorf("%s: of a group too", name)
		}
		// another rule that denies never widens
		s.CreateACLs(t.Context(), []ACL{acl(pre, "o", "User:*", "*", OpAll, no)})
		if s.May("User:ada", "10.0.0.1", tc.op, TopicKind, "orders") {
			t.Errorf("%s: widened by a denial", name)
		}
	}
}

func TestMayAny(t *testing.T) {
	s, _ := newSecurity(t)
	give := func(p Pattern, name string, permission Permission) {
		t.Helper()
		if err := s.CreateACLs(t.Context(), []ACL{{TopicKind, name, p, "User:ada", "*", OpWrite, permission}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	may := func() bool { return s.MayAny("User:ada", "h", OpWrite, TopicKind) }
	if may() {
		t.Error("without a rule")
	}
	give(PatternPrefixed, "team-", PermissionAllow)
	if !may() {
		t.Error("a prefix")
	}
	give(PatternPrefixed, "te", PermissionDeny)
	if may() {
		t.Error("a prefix that is denied")
	}
	give(PatternLiteral, "*", PermissionAllow)
	if !may() {
		t.Error("all but a prefix")
	}
}

// TestSecuritySurvives: rules and users are there after a start, from events as
// well as from a snapshot.
func TestSecuritySurvives(t *testing.T) {
	s, l := newSecurity(t)
	rule := ACL{TopicKind, "orders", PatternLiteral, "User:ada", "*", OpRead, PermissionAllow}
	gone := ACL{TopicKind, "o", PatternPrefixed, "User:ada", "*", OpWrite, PermissionAllow}
	for _, err := range s.CreateACLs(t.Context(), []ACL{rule, gone}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.DeleteACLs(t.Context(), ACLFilter{Kind: AnyKind, Pattern: PatternPrefixed, Operation: OpAny, Permission: PermissionAny}); err != nil || len(list) != 1 {
		t.Fatalf("deleted %v, %v", list, err)
	}
	errs := s.ChangeUsers(t.Context(), []ScramChange{{Name: "ada", Mechanism: ScramSHA256, Iterations: 4096, Salt: []byte("s"), Salted: make([]byte, 32)}})
	if errs["ada"] != nil {
		t.Fatal(errs["ada"])
	}
	want, _ := s.user("ada", ScramSHA256)
	for _, how := range []string{"events", "snapshot"} {
		s = openSecurity(t, l)
		if !s.May("User:ada", "h", OpRead, TopicKind, "orders") || s.May("User:ada", "h", OpWrite, TopicKind, "orders") {
			t.Errorf("%s: rules %v", how, s.acls)
		}
		got, ok := s.user("ada", ScramSHA256)
		if !ok || string(got.StoredKey) != string(want.StoredKey) || got.Iterations != 4096 {
			t.Errorf("%s: user %+v", how, got)
		}
		if err := s.store.Snapshot(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScramExchange holds the exchange against what an attacker would change.
func TestScramExchange(t *testing.T) {
	s, _ := newSecurity(t)
	for _, first := range []string{"", "n,,", "p=tls-unique,,n=a,r=x", "n,,n=a", "n,,r=x,n=a", "n,,n=a,r=", "n,,n=,r=x", "n,,n=a=2X,r=x", "n,a=root,n=a,r=x",
		"n,,m=1,n=a,r=x", "n,,n=a,r=x,tokenauth=true", "n,,n=a,r=x y"} {
		if _, ok := s.NewScram(ScramSHA256).First([]byte(first)); ok {
			t.Errorf("%q was taken", first)
		}
	}
	x := s.NewScram(ScramSHA256)
	if _, _, ok := x.Final([]byte("c=biws,r=x,p=")); ok {
		t.Error("an end without a beginning")
	}
	salt := func(name string) string {
		answer, ok := s.NewScram(ScramSHA256).First([]byte("n,,n=" + name + ",r=x"))
		if !ok {
			t.Fatal("not taken")
		}
		_, rest, _ := strings.Cut(string(answer), ",")
		return rest
	}
	if salt("nobody") != salt("nobody") || salt("nobody") == salt("somebody") {
		t.Error("unknown users have no salts of their own")
	}
}

func FuzzScram(f *testing.F) {
	s, _ := newSecurity(f)
	f.Add([]byte("n,,n=ada,r=abc"), []byte("c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	f.Fuzz(func(t *testing.T, first, last []byte) {
		x := s.NewScram(ScramSHA256)
		if answer, ok := x.First(first); ok && !strings.HasPrefix(string(answer), "r=") {
			t.Errorf("answer %q", answer)
		}
		if _, name, ok := x.Final(last); ok {
			t.Errorf("%q was believed", name)
		}
	})
}
