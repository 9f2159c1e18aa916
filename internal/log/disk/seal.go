package disk

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"thalweg/internal/errs"
	"thalweg/internal/log/batch"
)

// Keys gives the ciphers of encrypted partitions. It is safe for concurrent use.
type Keys interface {
	// Cipher returns the cipher of a key, the same for ever. Its nonces are 24
	// bytes, the first half drawn at random for each opening of the log, and its
	// tags 16.
	Cipher(key uint32) (cipher.AEAD, error)
}

// Sizes of docs/formats/wal.md, "Sealed frames".
const (
	sealTag      = 16
	sealNonce    = 24
	sealSalt     = 12
	sealOverhead = sealTag + sealNonce
	// sealBound and sealFrom are where in a frame begins what a sealed batch is
	// bound to, and where what is sealed.
	sealBound = 8
	sealFrom  = frameSize + batch.HeaderSize
)

// maxCiphers is how many ciphers are kept at hand.
const maxCiphers = 512

// errUnopened is a frame that its key does not open although its checksum is
// right.
var errUnopened = errors.New("sealed frame does not open")

// sealer seals batches inside their frames, and opens them.
type sealer struct {
	keys Keys

	// A nonce is the salt, random for each opening, and the count of batches sealed
	// since: no two are the same, whatever becomes of the frame, in no copy of the
	// directory.
	salt  [sealSalt]byte
	count atomic.Uint64

	mu      sync.RWMutex
	ciphers map[uint32]cipher.AEAD // guarded by mu
}

// begin draws the salt of this opening.
func (s *sealer) begin(entropy io.Reader) error {
	_, err := io.ReadFull(entropy, s.salt[:])
	return err
}

// cipher returns the cipher of a key, or an Unsupported error that names it.
func (s *sealer) cipher(key uint32) (cipher.AEAD, error) {
	s.mu.RLock()
	c := s.ciphers[key]
	s.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	fail := func(err error) error {
		return &errs.Error{Kind: errs.Unsupported, Op: fmt.Sprintf("use encryption key %d", key), Err: err,
			Hint: "the keystore of the data directory has the keys; restore it from a backup if it is gone"}
	}
	if s.keys == nil {
		return nil, fail(errors.New("the log was opened without keys"))
	}
	c, err := s.keys.Cipher(key)
	if err == nil && (c.NonceSize() != sealNonce || c.Overhead() != sealTag) {
		err = errors.New("its cipher has other sizes than the format")
	}
	if err != nil {
		return nil, fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ciphers == nil || len(s.ciphers) >= maxCiphers {
		s.ciphers = map[uint32]cipher.AEAD{}
	}
	s.ciphers[key] = c
	return c, nil
}

// seal puts a batch, sealed, into the frame b, whose header is in place.
func (s *sealer) seal(b, payload []byte, c cipher.AEAD) {
	nonce := b[len(b)-sealNonce:]
	copy(nonce, s.salt[:])
	le.PutUint32(nonce[sealSalt:], 0)
	le.PutUint64(nonce[sealSalt+4:], s.count.Add(1)-1)
	copy(b[frameSize:sealFrom], payload)
	batch.ClearCRC(b[frameSize:])
	c.Seal(b[sealFrom:sealFrom], nonce, payload[batch.HeaderSize:], b[sealBound:sealFrom])
}

// open opens the sealed frame b in place and returns its batch. Errors:
// Unsupported without the key, errUnopened.
func (s *sealer) open(b []byte, key uint32) ([]byte, error) {
	c, err := s.cipher(key)
	if err != nil {
		return nil, err
	}
	end := len(b) - sealNonce
	plain, err := c.Open(b[sealFrom:sealFrom], b[end:], b[sealFrom:end], b[sealBound:sealFrom])
	if err != nil {
		return nil, errUnopened
	}
	payload := b[frameSize : sealFrom+len(plain) : sealFrom+len(plain)]
	batch.SetCRC(payload)
	return payload, nil
}

// unopenedReason is what is wrong with a frame after [errUnopened].
func unopenedReason(key uint32) string {
	return fmt.Sprintf("sealed frame was altered, or key %d is not the one that sealed it", key)
}

// unopened makes of a failed open what the read ends with: nothing if it has found
// something, and d if the frame is not what was sealed.
func (r *reader) unopened(err error, key uint32, d Damage) error {
	if len(r.out.List) > 0 || !errors.Is(err, errUnopened) {
		return err
	}
	d.Reason = unopenedReason(key)
	r.l.damaged(d)
	return d.err()
}
