package streams

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"

	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Tokens are what a client gets back to us: shard iterators, page tokens and receipts.
// They are sealed, not stored: any process with the same secret opens them.
//
//	00 00 00 00 00 00 00 01 | salt 16 | counter 8 | AES-256-GCM( kind 1 | issued 8 | payload | zeros ) | tag 16
//
// in base64. The key is HKDF-SHA-256 of the installation's secret and the salt.
// Each process draws a salt of its own and counts its tokens, so that no nonce
// comes twice under one key however many are sealed. Associated data is kind,
// account and region: a token of another kind, account or region does not open.
// docs/formats/tokens.md.

// tokenKind tells what a token is for. Values are in tokens' associated data.
type tokenKind byte

const (
	iteratorToken  tokenKind = 1
	shardsToken    tokenKind = 2
	streamsToken   tokenKind = 3
	consumersToken tokenKind = 4
	queuesToken    tokenKind = 5
	receiptToken   tokenKind = 6
	channelsToken  tokenKind = 7
)

const (
	tokenLead    = 8
	tokenSalt    = 16
	tokenCounter = 8
	tokenHead    = tokenLead + tokenSalt + tokenCounter
	tokenTag     = 16
	tokenFixed   = 8 // issued
	// minToken is the length of the shortest token, as on AWS; longer ones grow by
	// tokenStep.
	minToken  = 152
	tokenStep = 16
	maxToken  = 384 // 512 characters
)

var errToken error = errs.New(errs.Invalid, "token is not valid")

type sealer struct {
	secret [32]byte
	salt   [tokenSalt]byte
	own    cipher.AEAD
	count  atomic.Uint64

	mu        sync.Mutex
	otherSalt [tokenSalt]byte
	other     cipher.AEAD // of otherSalt: the last one met that is not ours; guarded by mu
}

func newSealer(secret [32]byte, random io.Reader) (*sealer, error) {
	s := &sealer{secret: secret}
	if _, err := io.ReadFull(random, s.salt[:]); err != nil {
		return nil, errs.Wrap(errs.Internal, "draw token salt", err)
	}
	var err error
	s.own, err = s.derive(s.salt)
	return s, err
}

func (s *sealer) derive(salt [tokenSalt]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.secret[:], salt[:], "thalweg token", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// appendSealed appends a token in base64.
func (s *sealer) appendSealed(dst []byte, kind tokenKind, scope catalog.Scope, issued int64, payload []byte) []byte {
	var raw, plain [maxToken]byte
	size := minToken
	for size-tokenHead-tokenTag < tokenFixed+len(payload) {
		size += tokenStep
	}
	raw[tokenLead-1] = 1
	copy(raw[tokenLead:], s.salt[:])
	binary.BigEndian.PutUint64(raw[tokenLead+tokenSalt:], s.count.Add(1))
	binary.BigEndian.PutUint64(plain[:], uint64(issued))
	copy(plain[tokenFixed:], payload)
	var aad [128]byte
	sealed := s.own.Seal(raw[:tokenHead], nonceOf(raw[:tokenHead]), plain[:size-tokenHead-tokenTag],
		appendScope(aad[:0], kind, scope))
	return base64.StdEncoding.AppendEncode(dst, sealed)
}

// open reads a token. payload is followed by zeros. Any flaw is errToken.
func (s *sealer) open(kind tokenKind, scope catalog.Scope, text []byte) (issued int64, payload []byte, err error) {
	if base64.StdEncoding.DecodedLen(len(text)) > maxToken+2 {
		return 0, nil, errToken
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(raw, text)
	if err != nil || n < minToken || n > maxToken || (n-minToken)%tokenStep != 0 {
		return 0, nil, errToken
	}
	raw = raw[:n]
	if binary.BigEndian.Uint64(raw) != 1 {
		return 0, nil, errToken
	}
	aead, err := s.aead([tokenSalt]byte(raw[tokenLead:]))
	if err != nil {
		return 0, nil, err
	}
	var aad [128]byte
	plain, err := aead.Open(raw[tokenHead:tokenHead], nonceOf(raw[:tokenHead]), raw[tokenHead:],
		appendScope(aad[:0], kind, scope))
	if err != nil {
		return 0, nil, errToken
	}
	return int64(binary.BigEndian.Uint64(plain)), plain[tokenFixed:], nil
}

func (s *sealer) aead(salt [tokenSalt]byte) (cipher.AEAD, error) {
	if salt == s.salt {
		return s.own, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.other == nil || s.otherSalt != salt {
		a, err := s.derive(salt)
		if err != nil {
			return nil, err
		}
		s.other, s.otherSalt = a, salt
	}
	return s.other, nil
}

// nonceOf is the last 12 bytes of the head: four of the salt, then the counter.
func nonceOf(head []byte) []byte { return head[tokenHead-12 : tokenHead] }

func appendScope(dst []byte, kind tokenKind, scope catalog.Scope) []byte {
	dst = append(dst, byte(kind))
	dst = append(dst, scope.Account...)
	dst = append(dst, 0)
	return append(dst, scope.Region...)
}
