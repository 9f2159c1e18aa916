package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"sync/atomic"

	"thalweg/internal/invariants"
)

// xaes is XAES-256-GCM (https://c2sp.org/XAES-256-GCM): AES-256-GCM under a key
// that the first half of a 24-byte nonce selects. Plain AES-GCM has a 12-byte
// nonce, too short to draw at random for more than some 2^32 messages under one
// key, and the keys here live as long as a data directory.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // CMAC subkey
	// recent are some of the keys that were selected last: nonces with the same
	// first half, such as those of one opening of a log, share one.
	recent [4]atomic.Pointer[selected]
}

// selected is the AES-GCM that the first half of a nonce selects.
type selected struct {
	half [12]byte
	gcm  cipher.AEAD
}

const (
	xaesNonce    = 24
	xaesOverhead = 16
)

func newXAES(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	// Double in GF(2^128): shift left, and fold the lost bit back in.
	var carry byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		b := x.k1[i]
		x.k1[i] = b<<1 | carry
		carry = b >> 7
	}
	x.k1[len(x.k1)-1] ^= carry * 0x87
	return x, nil
}

func (x *xaes) NonceSize() int { return xaesNonce }
func (x *xaes) Overhead() int  { return xaesOverhead }

// gcm returns the AES-GCM that the first 12 bytes of nonce select. Key and block
// sizes are constant, so that neither constructor can fail.
func (x *xaes) gcm(nonce []byte) cipher.AEAD {
	slot := &x.recent[nonce[0]%byte(len(x.recent))]
	if s := slot.Load(); s != nil && s.half == [12]byte(nonce) {
		return s.gcm
	}
	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		m := key[i*aes.BlockSize : (i+1)*aes.BlockSize]
		m[1], m[2] = byte(i+1), 'X'
		copy(m[4:], nonce[:12])
		for j := range m {
			m[j] ^= x.k1[j]
		}
		x.block.Encrypt(m, m)
	}
	block, err := aes.NewCipher(key[:])
	invariants.Check(err == nil, "aes with a key of %d bytes: %v", len(key), err)
	g, err := cipher.NewGCM(block)
	invariants.Check(err == nil, "gcm over aes: %v", err)
	slot.Store(&selected{half: [12]byte(nonce), gcm: g})
	return g
}

// Seal implements cipher.AEAD. It panics, as the standard ones do, when the
// nonce has another length than NonceSize.
func (x *xaes) Seal(dst, nonce, plaintext, additional []byte) []byte {
	return x.gcm(nonce[:xaesNonce]).Seal(dst, nonce[12:xaesNonce], plaintext, additional)
}

// Open implements cipher.AEAD.
func (x *xaes) Open(dst, nonce, ciphertext, additional []byte) ([]byte, error) {
	if len(nonce) != xaesNonce {
		return nil, errors.New("open sealed data: wrong nonce length")
	}
	return x.gcm(nonce).Open(dst, nonce[12:], ciphertext, additional)
}
