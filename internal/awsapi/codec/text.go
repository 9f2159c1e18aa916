package codec

// Kind is what sort of value a document holds.
type Kind uint8

const (
	// KindBool is true or false.
	KindBool Kind = iota
	// KindNumber is any number.
	KindNumber
	// KindString is text.
	KindString
	// KindBlob is bytes, in formats that have them.
	KindBlob
	// KindList is a list.
	KindList
	// KindMap is a map or structure.
	KindMap
)

// Java class names of scalar values in AWS's texts, recorded from the service by
// kinesalite (test/helpers.js).
var kindClass = [...]string{
	KindBool:   "class java.lang.Boolean",
	KindNumber: "class com.amazon.coral.value.json.numbers.TruncatingBigNumber",
	KindString: "class java.lang.String",
	KindBlob:   "class java.nio.HeapByteBuffer",
}

const (
	listUnexpected = "Start of list found where not expected"
	mapUnexpected  = "Start of structure or map found where not expected."
)

// Mismatch is the error of a value of kind found where a scalar of the named
// type ("String", "Integer", "Long", "Double", "Boolean", "Blob") belongs.
func Mismatch(found Kind, want string) *Error {
	switch found {
	case KindList:
		return &Error{Msg: listUnexpected}
	case KindMap:
		return &Error{Msg: mapUnexpected}
	}
	article := " can not be converted to an "
	if want == "Blob" {
		article = " can not be converted to a "
	}
	return &Error{Msg: kindClass[found] + article + want}
}

// MismatchTime is Mismatch for timestamps.
func MismatchTime(found Kind) *Error {
	if found == KindList || found == KindMap {
		return Mismatch(found, "")
	}
	return &Error{Msg: kindClass[found] + " can not be converted to milliseconds since epoch"}
}

// MismatchContainer is the error of a value of kind found where a list, a map or
// a structure belongs.
func MismatchContainer(found, want Kind, structure bool) *Error {
	switch {
	case found == KindList:
		return &Error{Msg: listUnexpected}
	case found == KindMap:
		return &Error{Msg: mapUnexpected}
	case want == KindList:
		return &Error{Msg: "Expected list or null"}
	case structure:
		return &Error{Msg: "Expected null"}
	}
	return &Error{Msg: "Expected map or null"}
}

// ParseBool reads the texts AWS takes for a Boolean.
func ParseBool(s string) (v, ok bool) {
	switch lower(s) {
	case "true", "1", "yes":
		return true, true
	case "false", "0", "no":
		return false, true
	}
	return false, false
}

// BadBool is the error of text that is no Boolean; AWS shows it in capitals.
func BadBool(s string) *Error {
	return &Error{Msg: "'" + upper(Excerpt(s)) + "' can not be converted to an Boolean"}
}

// Excerpt bounds a client's text that goes into an error message.
func Excerpt(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + "..."
}

func lower(s string) string { return mapASCII(s, 'A', 'Z', 'a'-'A') }

func upper(s string) string { return mapASCII(s, 'a', 'z', -('a' - 'A')) }

func mapASCII(s string, from, to byte, delta int) string {
	b := []byte(s)
	for i, c := range b {
		if c >= from && c <= to {
			b[i] = byte(int(c) + delta)
		}
	}
	return string(b)
}
