package brokers

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ScramMechanism is one of SCRAM's, by its number in Kafka's protocol.
type ScramMechanism int8

// The mechanisms.
const (
	ScramSHA256 ScramMechanism = 1
	ScramSHA512 ScramMechanism = 2
)

// Bounds on iterations, as Apache Kafka's.
const (
	minIterations = 4096
	maxIterations = 16384
)

func (m ScramMechanism) hash() func() hash.Hash {
	if m == ScramSHA512 {
		return sha512.New
	}
	return sha256.New
}

func (m ScramMechanism) String() string {
	if m == ScramSHA512 {
		return "SCRAM-SHA-512"
	}
	return "SCRAM-SHA-256"
}

type scramID struct {
	Name      string         `json:"name"`
	Mechanism ScramMechanism `json:"mechanism"`
}

func (id scramID) context() []byte { return []byte(strconv.Itoa(int(id.Mechanism)) + "/" + id.Name) }

// ScramUser is what is kept of a user's password for one mechanism (RFC 5802):
// enough to check it, not to know it.
type ScramUser struct {
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored"`
	ServerKey  []byte `json:"server"`
	Iterations int32  `json:"iterations"`

	sealed []byte
}

func newScramUser(m ScramMechanism, salt, salted []byte, iterations int32) *ScramUser {
	h := m.hash()
	stored := h()
	stored.Write(sum(h, salted, "Client Key"))
	return &ScramUser{Salt: bytes.Clone(salt), StoredKey: stored.Sum(nil), ServerKey: sum(h, salted, "Server Key"), Iterations: iterations}
}

func sum(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// ScramChange sets a user's password for one mechanism, or, when Delete is set,
// takes it away.
type ScramChange struct {
	Name       string
	Mechanism  ScramMechanism
	Delete     bool
	Iterations int32
	Salt       []byte
	Salted     []byte // the password, salted and hashed so many times by the client
}

func (c *ScramChange) check() *Error {
	switch {
	case c.Name == "" || len(c.Name) > maxACLText:
		return refuse(UnacceptableCredential, "Username must not be empty")
	case c.Mechanism != ScramSHA256 && c.Mechanism != ScramSHA512:
		return refuse(UnsupportedSASLMechanism, "Unknown SCRAM mechanism")
	case c.Delete:
		return nil
	case c.Iterations < minIterations:
		return refuse(UnacceptableCredential, "Too few iterations")
	case c.Iterations > maxIterations:
		return refuse(UnacceptableCredential, "Too many iterations")
	case len(c.Salt) == 0 || len(c.Salt) > maxACLText || len(c.Salted) != c.Mechanism.hash()().Size():
		return refuse(UnacceptableCredential, "The salt or the salted password has an impossible size.")
	}
	return nil
}

// ChangeUsers makes the changes durable in one step. What is wrong with one change
// of a user is so with all of that user's; the answer has them by user.
func (s *Security) ChangeUsers(ctx context.Context, list []ScramChange) map[string]*Error {
	out := map[string]*Error{}
	err := s.commit(ctx, func() ([]securityEvent, *Error) {
		seen := map[scramID]bool{}
		for i := range list {
			c := &list[i]
			id := scramID{c.Name, c.Mechanism}
			err := c.check()
			switch {
			case err != nil:
			case seen[id]:
				err = refuse(DuplicateResource, "A user credential cannot be altered twice in the same request")
			case c.Delete && !s.knows(id):
				err = refuse(ResourceNotFound, "Attempt to delete a user credential that does not exist")
			case !c.Delete && s.countUsers() >= maxUsers && !s.knows(id):
				err = refuse(UnacceptableCredential, "A cluster can have %d SCRAM credentials at most.", maxUsers)
			}
			seen[id] = true
			out[c.Name] = cmp.Or(out[c.Name], err)
		}
		var events []securityEvent
		for i := range list {
			c := &list[i]
			if out[c.Name] != nil {
				continue
			}
			e := securityEvent{User: &scramID{c.Name, c.Mechanism}}
			if !c.Delete {
				var err error
				if e.Sealed, err = s.sealUser(*e.User, newScramUser(c.Mechanism, c.Salt, c.Salted, c.Iterations)); err != nil {
					return nil, logError(err)
				}
			}
			events = append(events, e)
		}
		return events, nil
	})
	for name := range out {
		out[name] = cmp.Or(out[name], err)
	}
	return out
}

func (s *Security) knows(id scramID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.users[id] != nil
}

func (s *Security) countUsers() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.users)
}

// Users returns the iterations of every user's mechanisms, by name.
func (s *Security) Users() map[string]map[ScramMechanism]int32 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[string]map[ScramMechanism]int32{}
	for _, id := range slices.Collect(maps.Keys(s.users)) {
		if out[id.Name] == nil {
			out[id.Name] = map[ScramMechanism]int32{}
		}
		out[id.Name][id.Mechanism] = s.users[id].Iterations
	}
	return out
}

// Scram is one client's exchange (RFC 5802 with RFC 7677), two messages each way.
// A user that there is not is asked as one that there is, always with the same
// salt, and fails at the end.
type Scram struct {
	security  *Security
	mechanism ScramMechanism
	user      *ScramUser
	name      string
	known     bool
	header    string // what the client said of channel binding
	nonce     string
	said      string // the first messages, as they are signed
}

// NewScram begins an exchange.
func (s *Security) NewScram(m ScramMechanism) *Scram { return &Scram{security: s, mechanism: m} }

// First takes the client's first message and returns the server's.
func (x *Scram) First(message []byte) ([]byte, bool) {
	text := string(message)
	parts := strings.SplitN(text, ",", 3)
	if len(parts) != 3 || parts[0] != "n" && parts[0] != "y" {
		return nil, false
	}
	bare := strings.Split(parts[2], ",")
	if len(bare) != 2 { // neither extensions, among them tokens, nor m=
		return nil, false
	}
	user, ok := strings.CutPrefix(bare[0], "n=")
	nonce, ok2 := strings.CutPrefix(bare[1], "r=")
	name, ok3 := scramName(user)
	if !ok || !ok2 || !ok3 || nonce == "" || strings.Trim(nonce, printable) != "" || parts[1] != "" && parts[1] != "a="+user {
		return nil, false
	}
	x.name, x.header = name, parts[0]+","+parts[1]+","
	x.user, x.known = x.security.user(name, x.mechanism)
	x.nonce = nonce + rand.Text()
	first := "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(x.user.Salt) + ",i=" + strconv.Itoa(int(x.user.Iterations))
	x.said = parts[2] + "," + first
	return []byte(first), true
}

// printable is what a nonce can be of: all of ASCII that can be seen but a comma.
const printable = "!\"#$%&'()*+-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// scramName takes the escapes out of a user's name.
func scramName(s string) (string, bool) {
	out := strings.ReplaceAll(strings.ReplaceAll(s, "=2C", ","), "=3D", "=")
	return out, s != "" && strings.Count(s, "=") == strings.Count(s, "=2C")+strings.Count(s, "=3D")
}

// user returns a user, or one that is made up of its name.
func (s *Security) user(name string, m ScramMechanism) (*ScramUser, bool) {
	s.mu.RLock()
	u := s.users[scramID{name, m}]
	s.mu.RUnlock()
	if u != nil {
		return u, true
	}
	made := sum(sha512.New, s.dummy[:], m.String()+" "+name)
	n := m.hash()().Size()
	return &ScramUser{Salt: made[:16], StoredKey: make([]byte, n), ServerKey: make([]byte, n), Iterations: minIterations}, false
}

// Final takes the client's last message and returns the server's, and the name
// that the client has proved to be; ok is false when it has not.
func (x *Scram) Final(message []byte) (answer []byte, name string, ok bool) {
	text := string(message)
	i := strings.LastIndex(text, ",p=")
	if x.user == nil || i < 0 {
		return nil, "", false
	}
	without := text[:i]
	proof, err := base64.StdEncoding.DecodeString(text[i+len(",p="):])
	h := x.mechanism.hash()
	if err != nil || len(proof) != h().Size() || without != "c="+base64.StdEncoding.EncodeToString([]byte(x.header))+",r="+x.nonce {
		return nil, "", false
	}
	signed := x.said + "," + without
	key := make([]byte, len(proof))
	subtle.XORBytes(key, proof, sum(h, x.user.StoredKey, signed))
	stored := h()
	stored.Write(key)
	if same := subtle.ConstantTimeCompare(stored.Sum(nil), x.user.StoredKey) == 1; !same || !x.known {
		return nil, "", false
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(sum(h, x.user.ServerKey, signed))), x.name, true
}
