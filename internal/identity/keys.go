package identity

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"thalweg/internal/clock"
	"thalweg/internal/errs"
	"thalweg/internal/sigv4"
)

// State is whether a key is accepted.
type State string

const (
	// Enabled is a key that is accepted.
	Enabled State = "enabled"
	// Disabled is a key that is refused until it is enabled again.
	Disabled State = "disabled"
	// deleted stands only in events: the key is forgotten.
	deleted State = "deleted"
)

// Key is an access key, without its secret.
type Key struct {
	ID           string    `json:"id"`      // AKIA and 16 letters or digits
	Account      string    `json:"account"` // 12 digits
	PrincipalARN string    `json:"principal"`
	Created      time.Time `json:"created"`
	State        State     `json:"state"`
}

// Journal makes changes of the keys durable.
type Journal interface {
	// Append makes event durable and has it applied, by [Keys.Apply], before it
	// returns nil. On an error the event must not be applied later on, unless the
	// process ends first. It is called by one goroutine at a time.
	Append(ctx context.Context, event []byte) error
}

// Keys is the set of access keys. It is the state of an event log: an event is
// one key as it is from then on, a JSON object with the members of [Key] and the
// sealed secret. Keys implements meta.Machine, and is safe for concurrent use.
type Keys struct {
	seal  cipher.AEAD
	clock clock.Clock

	change  sync.Mutex // held across reading the state and appending an event
	journal Journal    // set once, by Attach

	mu       sync.RWMutex
	keys     map[string]*entry // guarded by mu
	versions uint64            // guarded by mu; grows with every event
}

// entry is a key with its secret. It is replaced, never changed.
type entry struct {
	Key
	Sealed []byte `json:"secret,omitempty"` // nonce and ciphertext

	secret  Secret
	version uint64 // no two secrets ever share one
}

// NewKeys returns an empty set that seals secrets under store. Creation times
// come from c.
func NewKeys(store *Keystore, c clock.Clock) (*Keys, error) {
	seal, err := store.AEAD("access-keys")
	if err != nil {
		return nil, err
	}
	return &Keys{seal: seal, clock: c, keys: map[string]*entry{}}, nil
}

// Attach names the journal that takes changes. It is called once, after the
// events so far have been applied and before the first change.
func (k *Keys) Attach(j Journal) {
	k.change.Lock()
	defer k.change.Unlock()
	k.journal = j
}

// Create makes a key of an account for a user ([Root], or an IAM user name) and
// returns it with its secret. The secret can never be had again.
func (k *Keys) Create(ctx context.Context, account, user string) (Key, Secret, error) {
	const op = "create access key"
	if !IsAccount(account) {
		return Key{}, Secret{}, &errs.Error{Kind: errs.Invalid, Op: op, Msg: "account must be 12 digits, not " + strconv.Quote(account)}
	}
	if !validUser(user) {
		return Key{}, Secret{}, &errs.Error{Kind: errs.Invalid, Op: op,
			Msg: "user name must be 1 to 64 letters, digits or +=,.@_-, not " + strconv.Quote(user)}
	}
	e := &entry{
		Key: Key{
			ID: newKeyID(), Account: account, PrincipalARN: PrincipalARN(account, user),
			Created: k.clock.Now().UTC().Truncate(time.Second), State: Enabled,
		},
		secret: newSecret(),
	}
	nonce := make([]byte, k.seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	e.Sealed = k.seal.Seal(nonce, nonce, []byte(e.secret.Reveal()), e.context())
	k.change.Lock()
	defer k.change.Unlock()
	if err := k.append(ctx, e); err != nil {
		return Key{}, Secret{}, errs.Wrap(errs.KindOf(err), op, err)
	}
	return e.Key, e.secret, nil
}

// SetState enables or disables a key, from the next request on.
func (k *Keys) SetState(ctx context.Context, id string, s State) error {
	if s != Enabled && s != Disabled {
		return errs.New(errs.Invalid, "key state must be enabled or disabled, not "+strconv.Quote(string(s)))
	}
	return k.set(ctx, "change access key", id, s)
}

// Delete forgets a key, from the next request on.
func (k *Keys) Delete(ctx context.Context, id string) error {
	return k.set(ctx, "delete access key", id, deleted)
}

func (k *Keys) set(ctx context.Context, op, id string, s State) error {
	k.change.Lock()
	defer k.change.Unlock()
	old := k.get(id)
	if old == nil {
		return &errs.Error{Kind: errs.NotFound, Op: op, Msg: "no access key " + strconv.Quote(id), Hint: "thalweg keys list"}
	}
	if old.State == s {
		return nil
	}
	e := *old
	if e.State = s; s == deleted {
		e.Sealed = nil
	}
	if err := k.append(ctx, &e); err != nil {
		return errs.Wrap(errs.KindOf(err), op, err)
	}
	return nil
}

// append has the change of one key made durable. The caller holds k.change.
func (k *Keys) append(ctx context.Context, e *entry) error {
	if k.journal == nil {
		return errs.New(errs.Closed, "access keys cannot be changed now")
	}
	event, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return k.journal.Append(ctx, event)
}

// List returns all keys by account, then by age.
func (k *Keys) List() []Key {
	k.mu.RLock()
	list := make([]Key, 0, len(k.keys))
	for _, e := range k.keys {
		list = append(list, e.Key)
	}
	k.mu.RUnlock()
	slices.SortFunc(list, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Get returns a key in whatever state.
func (k *Keys) Get(id string) (Key, bool) {
	if e := k.get(id); e != nil {
		return e.Key, true
	}
	return Key{}, false
}

// Secret implements sigv4.Secrets: it knows the enabled keys only.
func (k *Keys) Secret(id string) (secret Secret, version uint64, ok bool) {
	e := k.get(id)
	if e == nil || e.State != Enabled {
		return Secret{}, 0, false
	}
	return e.secret, e.version, true
}

func (k *Keys) get(id string) *entry {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[id]
}

// Reset forgets all keys.
func (k *Keys) Reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.keys)
}

// Apply changes the set by one event, which it does not keep. An error means
// that the event cannot be understood, or its secret not be opened.
func (k *Keys) Apply(event []byte) error {
	const op = "apply access key event"
	e := new(entry)
	d := json.NewDecoder(bytes.NewReader(event))
	d.DisallowUnknownFields()
	if err := d.Decode(e); err != nil {
		return errs.Wrap(errs.Corrupt, op, err)
	}
	switch e.State {
	case deleted:
	case Enabled, Disabled:
		n := k.seal.NonceSize()
		if len(e.Sealed) < n {
			return &errs.Error{Kind: errs.Corrupt, Op: op, Msg: "access key " + strconv.Quote(e.ID) + " has no secret"}
		}
		plain, err := k.seal.Open(nil, e.Sealed[:n], e.Sealed[n:], e.context())
		if err != nil {
			return &errs.Error{Kind: errs.Corrupt, Op: op, Msg: "the secret of access key " + strconv.Quote(e.ID) + " cannot be opened", Err: err,
				Hint: "the keystore file is not the one that sealed it; restore both from the same backup"}
		}
		e.secret = sigv4.NewSecret(string(plain))
	default:
		return &errs.Error{Kind: errs.Corrupt, Op: op, Msg: "access key " + strconv.Quote(e.ID) + " is in an unknown state " + strconv.Quote(string(e.State))}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.State == deleted {
		delete(k.keys, e.ID)
		return nil
	}
	k.versions++
	e.version = k.versions
	k.keys[e.ID] = e
	return nil
}

// Snapshot calls emit with one event for each key.
func (k *Keys) Snapshot(emit func(event []byte)) {
	for _, key := range k.List() {
		if event, err := json.Marshal(k.get(key.ID)); err == nil {
			emit(event)
		}
	}
}

// context binds a sealed secret to its key and account.
func (e *entry) context() []byte { return []byte(e.ID + "/" + e.Account + "/" + e.PrincipalARN) }

// newKeyID returns AKIA and 16 characters of 80 random bits.
func newKeyID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return "AKIA" + base32.StdEncoding.EncodeToString(b[:])
}

// newSecret returns 40 characters of 240 random bits.
func newSecret() Secret {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return sigv4.NewSecret(base64.StdEncoding.EncodeToString(b[:]))
}

// validUser checks an IAM user name; see API_CreateUser in the IAM reference.
func validUser(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("+=,.@_-", rune(c)) {
			return false
		}
	}
	return true
}
