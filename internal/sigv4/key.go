package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
)

// signingKey is the key of one secret for one day, region and service.
type signingKey [sha256.Size]byte

// deriveKey makes the signing key of a scope.
func deriveKey(secret Secret, s *Scope) signingKey {
	mac := func(key []byte, data string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(data))
		return h.Sum(nil)
	}
	k := mac([]byte("AWS4"+secret.Reveal()), s.Date)
	k = mac(k, s.Region)
	k = mac(k, s.Service)
	return signingKey(mac(k, terminator))
}

// maxMessage is the longest message that sum takes without allocating.
const maxMessage = 448

// sum is HMAC-SHA256 without a hash.Hash, which would allocate: a signing key
// is shorter than a block, so both passes are plain sums over a buffer.
func (k *signingKey) sum(msg []byte) [sha256.Size]byte {
	var stack [sha256.BlockSize + maxMessage]byte
	inner := append(stack[:0], k.pad(0x36)...)
	h := sha256.Sum256(append(inner, msg...))
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(outer[:], k.pad(0x5c))
	copy(outer[sha256.BlockSize:], h[:])
	return sha256.Sum256(outer[:])
}

func (k *signingKey) pad(with byte) []byte {
	var p [sha256.BlockSize]byte
	copy(p[:], k[:])
	for i := range p {
		p[i] ^= with
	}
	return p[:]
}

// keyID names a signing key. The version changes with the secret, so that a
// replaced secret's keys are never found again.
type keyID struct {
	Scope
	version uint64
}

// keyCache keeps signing keys in two generations: when the young one is full it
// becomes the old one, so it holds at most twice its size and keeps what is used.
// Only proven requests add to it.
type keyCache struct {
	mu         sync.RWMutex
	young, old map[keyID]signingKey // guarded by mu
}

const cacheSize = 1024 // keys in one generation

func (c *keyCache) get(id keyID) (k signingKey, young, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if k, ok = c.young[id]; ok {
		return k, true, true
	}
	k, ok = c.old[id]
	return k, false, ok
}

func (c *keyCache) put(id keyID, k signingKey) {
	id.AccessKeyID = strings.Clone(id.AccessKeyID)
	id.Date = strings.Clone(id.Date)
	id.Region = strings.Clone(id.Region)
	id.Service = strings.Clone(id.Service)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= cacheSize {
		c.old, c.young = c.young, make(map[keyID]signingKey)
	}
	c.young[id] = k
}
