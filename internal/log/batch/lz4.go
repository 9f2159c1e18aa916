package batch

import "encoding/binary"

// LZ4 frame format 1.6.x, as far as Kafka clients write it: independent or linked
// blocks, optional content size and checksums (skipped: the batch has its own).
// See the LZ4 project's doc/lz4_Frame_format.md and doc/lz4_Block_format.md.
const (
	lz4Magic           = 0x184D2204
	lz4FlagDictID      = 0x01
	lz4FlagContentSum  = 0x04
	lz4FlagContentSize = 0x08
	lz4FlagBlockSum    = 0x10
	lz4Stored          = 1 << 31
)

// appendLZ4 appends the content of the LZ4 frame src to dst, which may not grow
// beyond limit bytes.
func appendLZ4(dst, src []byte, limit int) ([]byte, error) {
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != lz4Magic || src[4]>>6 != 1 {
		return dst, ErrMalformed
	}
	flags := src[4]
	header := 7 // magic, flags, block size, header checksum
	if flags&lz4FlagContentSize != 0 {
		header += 8
	}
	if flags&lz4FlagDictID != 0 || len(src) < header {
		return dst, ErrMalformed
	}
	src = src[header:]
	start := len(dst)
	for {
		if len(src) < 4 {
			return dst, ErrMalformed
		}
		size := binary.LittleEndian.Uint32(src)
		src = src[4:]
		if size == 0 { // end mark
			break
		}
		n := int64(size &^ lz4Stored)
		if n > int64(len(src)) {
			return dst, ErrMalformed
		}
		block := src[:n]
		src = src[n:]
		if size&lz4Stored != 0 {
			if len(block) > limit-len(dst) {
				return dst, ErrTooLarge
			}
			dst = append(dst, block...)
		} else {
			var err error
			if dst, err = appendLZ4Block(dst, start, block, limit); err != nil {
				return dst, err
			}
		}
		if flags&lz4FlagBlockSum != 0 {
			if len(src) < 4 {
				return dst, ErrMalformed
			}
			src = src[4:]
		}
	}
	if flags&lz4FlagContentSum != 0 {
		if len(src) < 4 {
			return dst, ErrMalformed
		}
		src = src[4:]
	}
	if len(src) != 0 {
		return dst, ErrMalformed
	}
	return dst, nil
}

// appendLZ4Block appends the content of one compressed block. Matches may reach
// back to dst[start].
func appendLZ4Block(dst []byte, start int, src []byte, limit int) ([]byte, error) {
	for {
		if len(src) == 0 {
			return dst, ErrMalformed
		}
		token := src[0]
		src = src[1:]
		n, src2, ok := lz4Length(int(token>>4), src, limit)
		if !ok || n > len(src2) {
			return dst, ErrMalformed
		}
		src = src2
		if n > limit-len(dst) {
			return dst, ErrTooLarge
		}
		dst = append(dst, src[:n]...)
		src = src[n:]
		if len(src) == 0 { // the last sequence is literals only
			return dst, nil
		}
		if len(src) < 2 {
			return dst, ErrMalformed
		}
		back := int(binary.LittleEndian.Uint16(src))
		src = src[2:]
		n, src2, ok = lz4Length(int(token&15), src, limit)
		if !ok || back == 0 || back > len(dst)-start {
			return dst, ErrMalformed
		}
		src = src2
		n += 4
		if n > limit-len(dst) {
			return dst, ErrTooLarge
		}
		for n > 0 { // a match may overlap what it writes: copy at most back bytes a time
			m := min(n, back)
			dst = append(dst, dst[len(dst)-back:len(dst)-back+m]...)
			n -= m
		}
	}
}

// lz4Length completes a length whose first four bits are n. A length beyond
// limit is cut there: it is too large in any case.
func lz4Length(n int, src []byte, limit int) (length int, rest []byte, ok bool) {
	if n < 15 {
		return n, src, true
	}
	for i, c := range src {
		if n <= limit {
			n += int(c)
		}
		if c != 255 {
			return n, src[i+1:], true
		}
	}
	return 0, nil, false
}
