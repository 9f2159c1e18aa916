package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"thalweg/internal/objstore"
)

// ListObjects answers a page of objects and common prefixes in the order of their
// bytes, behind the marker.
//
// Status: done
// Deviation: keys alike up to a slash are one directory, which is read anew for every 1,024 of them that are listed

type listResult struct {
	XMLName        xml.Name `xml:"ListBucketResult"`
	Xmlns          string   `xml:"xmlns,attr"`
	Name           string
	Prefix         string
	Marker         *string // ListObjects only, as is NextMarker
	NextMarker     string  `xml:",omitempty"`
	KeyCount       *int    // ListObjectsV2 only, as are the tokens and StartAfter
	Token          string  `xml:"ContinuationToken,omitempty"`
	NextToken      string  `xml:"NextContinuationToken,omitempty"`
	StartAfter     string  `xml:",omitempty"`
	MaxKeys        int
	Delimiter      string `xml:",omitempty"`
	EncodingType   string `xml:",omitempty"`
	IsTruncated    bool
	Contents       []objectEntry
	CommonPrefixes []commonPrefix
}

type objectEntry struct {
	Key               string
	LastModified      string
	ETag              string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
	Size              int64
	Owner             *owner
	StorageClass      string
}

type commonPrefix struct{ Prefix string }

func (x *exchange) listObjects() error {
	l, err := x.newList()
	if err != nil {
		return err
	}
	marker := x.query.get("marker")
	page, err := l.page(marker)
	if err != nil {
		return err
	}
	out := l.result(page, true)
	out.Marker = new(l.encode(marker))
	if l.o.Delimiter != "" {
		out.NextMarker = l.encode(page.Next)
	}
	x.document(http.StatusOK, out)
	return nil
}

// list is what both forms of listing share.
type list struct {
	x      *exchange
	o      objstore.ListOptions
	max    int
	encode func(string) string // of text in the answer
	urls   bool
}

func (x *exchange) newList() (*list, error) {
	limit, err := x.limit("max-keys")
	if err != nil {
		return nil, err
	}
	l := &list{x: x, max: limit, o: objstore.ListOptions{Prefix: x.query.get("prefix"), Delimiter: x.query.get("delimiter"), Max: limit}}
	l.encode, l.urls, err = x.encoding()
	return l, err
}

// limit reads how many entries are wanted; more than a page are a page.
func (x *exchange) limit(name string) (int, error) {
	v := x.query.get(name)
	if v == "" {
		return objstore.MaxPage, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, invalidArgument("Provided "+name+" not an integer or within integer range", name, v)
	}
	return min(int(n), objstore.MaxPage), nil
}

// encoding returns how text in an answer is encoded.
func (x *exchange) encoding() (encode func(string) string, urls bool, err error) {
	switch v := x.query.get("encoding-type"); v {
	case "":
		return func(s string) string { return s }, false, nil
	case "url":
		return func(s string) string {
			return strings.NewReplacer("%2F", "/", "%2A", "*").Replace(url.QueryEscape(s))
		}, true, nil
	default:
		return nil, false, invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", v)
	}
}

// entryMemory is what one entry of a list takes at most, in the store and as text.
const entryMemory = 8 << 10

// page asks the store for the page behind after.
func (l *list) page(after string) (objstore.Page, error) {
	if l.max == 0 {
		return objstore.Page{}, nil
	}
	if err := l.x.hold(int64(l.max) * entryMemory); err != nil {
		return objstore.Page{}, err
	}
	l.o.After = after
	return l.x.d.o.Store.List(l.x.r.Context(), l.x.bucket, l.o)
}

func (l *list) result(page objstore.Page, withOwner bool) listResult {
	out := listResult{Xmlns: namespace, Name: l.x.bucket, Prefix: l.encode(l.o.Prefix), Delimiter: l.encode(l.o.Delimiter),
		MaxKeys: l.max, IsTruncated: page.Next != ""}
	if l.urls {
		out.EncodingType = "url"
	}
	by := ownerOf(l.x.owner.Owner)
	for _, i := range page.Objects {
		e := objectEntry{Key: l.encode(i.Key), LastModified: stamp(i.Modified), ETag: quoted(i.ETag), Size: i.Size, StorageClass: "STANDARD",
			ChecksumAlgorithm: i.Checksum.Algorithm.String()}
		if e.ChecksumAlgorithm != "" {
			e.ChecksumType = checksumType(i.Checksum)
		}
		if withOwner {
			e.Owner = &by
		}
		out.Contents = append(out.Contents, e)
	}
	for _, p := range page.Prefixes {
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{l.encode(p)})
	}
	return out
}
