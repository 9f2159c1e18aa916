package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

// Errors of reading a [Payload], beside those of the connection.
var (
	// ErrChunk is a body that is not in the form of aws-chunked.
	ErrChunk = errors.New("the chunks of the body cannot be read")
	// ErrChunkSignature is a chunk, or a trailer, whose signature does not match.
	ErrChunkSignature = errors.New("the signature of a chunk does not match")
	// ErrPayloadHash is a body that has another hash than the one that was stated.
	ErrPayloadHash = errors.New("the body does not have the hash that was signed")
)

// Body reads the bytes of a body and proves them: what it gave is only to be
// believed once it has returned io.EOF.
type Body struct {
	payload Payload
	plain   io.Reader // of a body that is not chunked
	in      *bufio.Reader
	hash    hash.Hash // of the chunk under way, or of the whole body
	left    int64     // of the chunk under way
	begun   bool      // a chunk is under way, or was
	sign    string    // the signature of the chunk under way
	trailer map[string]string
	err     error
}

const (
	// maxChunkLine bounds a chunk's header, and a line of a trailer.
	maxChunkLine = 1024
	// maxTrailers bounds the lines of a trailer.
	maxTrailers = 32
)

// Body returns a reader of the bytes that r, the request's own body, carries.
func (p Payload) Body(r io.Reader) *Body {
	b := &Body{payload: p, plain: r}
	switch {
	case p.Chunked:
		b.in = bufio.NewReaderSize(r, 4096)
		b.trailer = map[string]string{}
		b.hash = sha256.New()
	case p.Hash != "":
		b.hash = sha256.New()
	}
	return b
}

// Trailer returns the value of a header that came behind the chunks, by its name in
// lower case. It is known once Read has returned io.EOF.
func (b *Body) Trailer(name string) string { return b.trailer[name] }

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n := 0
	if b.payload.Chunked {
		n, b.err = b.readChunked(p)
	} else {
		n, b.err = b.plain.Read(p)
		if b.hash != nil {
			b.hash.Write(p[:n])
			if errors.Is(b.err, io.EOF) && hex.EncodeToString(b.hash.Sum(nil)) != strings.ToLower(b.payload.Hash) {
				b.err = ErrPayloadHash
			}
		}
	}
	return n, b.err
}

// readChunked reads from the chunk under way, or begins the next.
func (b *Body) readChunked(p []byte) (int, error) {
	for b.left == 0 {
		if b.begun {
			if err := b.endChunk(); err != nil {
				return 0, err
			}
		}
		if err := b.beginChunk(); err != nil {
			return 0, err
		}
		if b.left == 0 {
			return 0, b.end()
		}
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.hash.Write(p[:n])
	b.left -= int64(n)
	return n, cutOff(err)
}

// cutOff is the error of a body that ends before its last chunk.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (b *Body) beginChunk() error {
	line, err := b.line()
	if err != nil {
		return err
	}
	size, rest, _ := strings.Cut(line, ";")
	n, perr := strconv.ParseUint(strings.TrimSpace(size), 16, 62)
	if perr != nil {
		return ErrChunk
	}
	b.left, b.begun, b.sign = int64(n), true, ""
	b.hash.Reset()
	if value, ok := strings.CutPrefix(rest, "chunk-signature="); ok {
		b.sign = value
	}
	if b.payload.Signed && b.sign == "" {
		return ErrChunk
	}
	return nil
}

// endChunk reads the line end behind a chunk's bytes and checks its signature.
func (b *Body) endChunk() error {
	if line, err := b.line(); err != nil {
		return err
	} else if line != "" {
		return ErrChunk
	}
	return b.checkChunk()
}

func (b *Body) checkChunk() error {
	if b.payload.chain != nil && !b.payload.chain.chunk([sha256.Size]byte(b.hash.Sum(nil)), b.sign) {
		return ErrChunkSignature
	}
	return nil
}

// end checks the last chunk, which is empty, and reads what follows it.
func (b *Body) end() error {
	if err := b.checkChunk(); err != nil {
		return err
	}
	if err := b.readTrailer(); err != nil {
		return err
	}
	if _, err := b.in.ReadByte(); err == nil {
		return ErrChunk // more than the body
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}

// readTrailer reads headers up to an empty line or the end of the body. The last is
// the signature of those before it where chunks are signed.
func (b *Body) readTrailer() error {
	sum, signature := sha256.New(), ""
	for n := 0; ; n++ {
		line, err := b.line()
		if errors.Is(err, io.ErrUnexpectedEOF) && line == "" && n == 0 && !b.payload.Trailer {
			return nil // some clients leave the last line end out
		}
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); !ok || n == maxTrailers || signature != "" || !b.payload.Trailer {
			return ErrChunk
		}
		value = strings.TrimSpace(value)
		if name == "x-amz-trailer-signature" {
			signature = value
			continue
		}
		if _, twice := b.trailer[name]; twice {
			return ErrChunk
		}
		b.trailer[name] = value
		_, _ = io.WriteString(sum, name+":"+value+"\n") // a hash does not fail
	}
	if b.payload.chain != nil && b.payload.Trailer && !b.payload.chain.trailer([sha256.Size]byte(sum.Sum(nil)), signature) {
		return ErrChunkSignature
	}
	return nil
}

// line reads a line without its end, which is CRLF; a bare LF ends one too.
func (b *Body) line() (string, error) {
	raw, err := b.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(raw) > maxChunkLine:
		return "", ErrChunk
	case err != nil:
		return string(raw), cutOff(err)
	}
	return strings.TrimSuffix(string(raw[:len(raw)-1]), "\r"), nil
}
