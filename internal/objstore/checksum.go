package objstore

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// Algorithm is how a checksum is computed. The numbers are stored; they never
// change.
type Algorithm uint8

const (
	// CRC64NVME is what S3 computes where nothing else is asked for.
	CRC64NVME Algorithm = iota + 1
	// CRC32 is that of zip and gzip.
	CRC32
	// CRC32C is Castagnoli's.
	CRC32C
	// SHA1 is the hash of 20 bytes.
	SHA1
	// SHA256 is the hash of 32 bytes.
	SHA256
)

// Algorithms are all of them.
var Algorithms = [...]Algorithm{CRC64NVME, CRC32, CRC32C, SHA1, SHA256}

var algorithmNames = [...]string{"", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256"}

// String returns the name that S3 uses.
func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return "unknown"
}

// ParseAlgorithm returns the algorithm of a name, in S3's spelling.
func ParseAlgorithm(name string) (Algorithm, bool) {
	for _, a := range Algorithms {
		if a.String() == name {
			return a, true
		}
	}
	return 0, false
}

// nvme is the table of the NVM Express polynomial, reflected
// (NVM Express Base Specification 2.1, section 5.2.1.3.4).
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// New returns a hash of the algorithm, CRC64NVME for none.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	default:
		return crc64.New(nvme)
	}
}

// Checksum is the checksum of an object or of a part.
type Checksum struct {
	Algorithm Algorithm `json:"algorithm,omitempty"`
	// Value is in base64.
	Value string `json:"value,omitempty"`
	// Composite is whether it is one of the parts' checksums, not of the bytes.
	Composite bool `json:"composite,omitempty"`
}

// Sum returns the checksum that h, of algorithm a, has come to.
func Sum(a Algorithm, h hash.Hash) Checksum {
	return Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(h.Sum(nil))}
}
