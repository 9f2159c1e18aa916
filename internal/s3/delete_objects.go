package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"

	"thalweg/internal/objstore"
)

// DeleteObjects removes up to 1,000 objects, each for itself. The request must bring
// a digest or a checksum of its document, as AWS asks.
//
// Status: done
// Deviation: VersionId other than null, LastModifiedTime and Size are refused for the key that has them

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []deleteEntry `xml:"Object"`
}

type deleteEntry struct {
	Key              string
	VersionId        string //nolint:revive // the name on the wire
	ETag             string
	LastModifiedTime string
	Size             string
}

type deleteResult struct {
	XMLName xml.Name        `xml:"DeleteResult"`
	Xmlns   string          `xml:"xmlns,attr"`
	Deleted []deletedEntry  `xml:"Deleted"`
	Errors  []deletedFailed `xml:"Error"`
}

type deletedEntry struct{ Key string }

type deletedFailed struct{ Key, Code, Message string }

const maxDeletes = 1000

func (x *exchange) deleteObjects() error {
	b, err := x.body()
	if err != nil {
		return err
	}
	if !b.guarded && x.payload.Hash == "" {
		return errMissingIntegrity
	}
	var in deleteRequest
	if err := x.decode(b, &in); errors.Is(err, io.EOF) {
		return errXML
	} else if err != nil {
		return err
	}
	if len(in.Objects) == 0 || len(in.Objects) > maxDeletes {
		return errXML
	}
	out := deleteResult{Xmlns: namespace}
	for _, o := range in.Objects {
		if err := x.deleteOne(o); err != nil {
			e := x.wireError(err)
			out.Errors = append(out.Errors, deletedFailed{o.Key, e.code, e.message})
		} else if !in.Quiet {
			out.Deleted = append(out.Deleted, deletedEntry{o.Key})
		}
	}
	x.document(http.StatusOK, out)
	return nil
}

func (x *exchange) deleteOne(o deleteEntry) error {
	switch {
	case o.Key == "":
		return errArgument.with("A key must not be empty")
	case o.VersionId != "" && o.VersionId != "null", o.LastModifiedTime != "", o.Size != "":
		return errNotImplemented
	}
	if err := x.authorise(x.op.action, x.bucket, o.Key, x.owner.Owner); err != nil {
		return err
	}
	return x.d.o.Store.Delete(x.r.Context(), objstore.Ref{Bucket: x.bucket, Key: o.Key}, objstore.Condition{ETag: strings.Trim(o.ETag, `"`)})
}
