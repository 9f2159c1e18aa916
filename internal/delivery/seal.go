package delivery

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"

	"thalweg/internal/errs"
)

// sealedPrefix marks a value of a configuration that is kept sealed for one delivery
// stream, earlierPrefix one that was sealed before values were bound to theirs.
const (
	sealedPrefix  = "sealed:v2:"
	earlierPrefix = "sealed:v1:"
)

// sealer keeps the secrets of configurations, such as access keys of endpoints, out
// of what is stored in the clear.
type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) (*sealer, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

// close seals a secret of the delivery stream arn; one that is sealed for it already
// stays as it is.
func (s *sealer) close(arn, secret string) string {
	if _, err := s.open(arn, secret); err == nil {
		return secret
	}
	return sealedPrefix + base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, []byte(secret), []byte(arn)))
}

// open returns a secret of the delivery stream arn. Errors: Corrupt.
func (s *sealer) open(arn, sealed string) (string, error) {
	text, ok := strings.CutPrefix(sealed, sealedPrefix)
	bound := []byte(arn)
	if !ok {
		text, ok = strings.CutPrefix(sealed, earlierPrefix)
		bound = nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if !ok || err != nil {
		return "", errs.New(errs.Corrupt, "a secret of a delivery stream is not sealed")
	}
	plain, err := s.aead.Open(nil, nil, raw, bound)
	if err != nil {
		return "", errs.Wrap(errs.Corrupt, "open a secret of a delivery stream", err)
	}
	return string(plain), nil
}
