package s3

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"time"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// document answers with an XML document.
func (x *exchange) document(status int, v any) {
	body, err := xml.Marshal(v)
	if err != nil {
		x.d.o.Log.Error("document not written", "operation", x.name(), "error", err)
		x.w.WriteHeader(http.StatusInternalServerError)
		return
	}
	body = append([]byte(xml.Header), body...)
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.begun = true
	x.w.WriteHeader(status)
	n, _ := x.w.Write(body) // a client that has gone is net/http's to notice
	x.out = int64(n)
}

// empty answers without a body.
func (x *exchange) empty(status int) error {
	if status != http.StatusNoContent {
		x.w.Header().Set("Content-Length", "0")
	}
	x.begun = true
	x.w.WriteHeader(status)
	return nil
}

// maxDocument bounds the XML of a request.
const maxDocument = 1 << 20

// decode reads a body as XML into v, io.EOF where it is empty. It holds the memory
// that the document takes.
func (x *exchange) decode(b *body, v any) error {
	if b.size > maxDocument {
		return errXML
	}
	if err := x.hold(8 * b.size); err != nil { // as text, and as what it says
		return err
	}
	raw, err := io.ReadAll(b)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return io.EOF
	}
	if xml.Unmarshal(raw, v) != nil {
		return errXML
	}
	return nil
}

// stamp is a time as documents have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// quoted is an entity tag as it travels.
func quoted(etag string) string { return `"` + etag + `"` }

// owner names an account by its canonical id, which has the form of AWS's and follows
// from the account.
type owner struct {
	ID string `xml:"ID"`
}

func ownerOf(account string) owner {
	sum := sha256.Sum256([]byte("canonical user of account " + account))
	return owner{ID: hex.EncodeToString(sum[:])}
}
