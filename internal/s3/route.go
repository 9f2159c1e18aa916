package s3

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"thalweg/internal/objstore"
	"thalweg/internal/sigv4"
)

// level is what a request's target names.
type level uint8

const (
	atService level = iota
	atBucket
	atObject
)

// route is what finds the operations that a request can mean.
type route struct {
	method string
	level  level
}

// op is one operation.
type op struct {
	name   string
	action string // IAM's name
	route
	// marks are query parameters, and header is one of the request's, that must be
	// there; of two operations that fit, the one that asks for more is meant.
	marks  []string
	header string
	run    func(*exchange) error
}

// operations are those that are served. Every other is refused.
var operations = []*op{
	{"ListBuckets", "s3:ListAllMyBuckets", route{http.MethodGet, atService}, nil, "", (*exchange).listBuckets},

	{"CreateBucket", "s3:CreateBucket", route{http.MethodPut, atBucket}, nil, "", (*exchange).createBucket},
	{"HeadBucket", "s3:ListBucket", route{http.MethodHead, atBucket}, nil, "", (*exchange).headBucket},
	{"DeleteBucket", "s3:DeleteBucket", route{http.MethodDelete, atBucket}, nil, "", (*exchange).deleteBucket},
	{"GetBucketLocation", "s3:GetBucketLocation", route{http.MethodGet, atBucket}, []string{"location"}, "", (*exchange).getBucketLocation},
	{"ListObjects", "s3:ListBucket", route{http.MethodGet, atBucket}, nil, "", (*exchange).listObjects},
	{"ListObjectsV2", "s3:ListBucket", route{http.MethodGet, atBucket}, []string{"list-type"}, "", (*exchange).listObjectsV2},
	{"ListMultipartUploads", "s3:ListBucketMultipartUploads", route{http.MethodGet, atBucket}, []string{"uploads"}, "", (*exchange).listMultipartUploads},
	{"DeleteObjects", "s3:DeleteObject", route{http.MethodPost, atBucket}, []string{"delete"}, "", (*exchange).deleteObjects},

	{"GetObject", "s3:GetObject", route{http.MethodGet, atObject}, nil, "", (*exchange).getObject},
	{"HeadObject", "s3:GetObject", route{http.MethodHead, atObject}, nil, "", (*exchange).headObject},
	{"PutObject", "s3:PutObject", route{http.MethodPut, atObject}, nil, "", (*exchange).putObject},
	{"CopyObject", "s3:PutObject", route{http.MethodPut, atObject}, nil, copySource, (*exchange).copyObject},
	{"DeleteObject", "s3:DeleteObject", route{http.MethodDelete, atObject}, nil, "", (*exchange).deleteObject},

	{"CreateMultipartUpload", "s3:PutObject", route{http.MethodPost, atObject}, []string{"uploads"}, "", (*exchange).createMultipartUpload},
	{"UploadPart", "s3:PutObject", route{http.MethodPut, atObject}, []string{"uploadId", "partNumber"}, "", (*exchange).uploadPart},
	{"UploadPartCopy", "s3:PutObject", route{http.MethodPut, atObject}, []string{"uploadId", "partNumber"}, copySource, (*exchange).uploadPartCopy},
	{"CompleteMultipartUpload", "s3:PutObject", route{http.MethodPost, atObject}, []string{"uploadId"}, "", (*exchange).completeMultipartUpload},
	{"AbortMultipartUpload", "s3:AbortMultipartUpload", route{http.MethodDelete, atObject}, []string{"uploadId"}, "", (*exchange).abortMultipartUpload},
	{"ListParts", "s3:ListMultipartUploadParts", route{http.MethodGet, atObject}, []string{"uploadId"}, "", (*exchange).listParts},
}

const copySource = "X-Amz-Copy-Source"

// subresources are query parameters by which S3 has other operations. A request with
// one that no served operation asks for is refused, never taken for another.
var subresources = []string{
	"abac", "accelerate", "acl", "analytics", "annotation", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "location", "logging", "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore", "retention",
	"select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "versionId", "website",
}

// params is a query.
type params map[string][]string

func (p params) get(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (p params) has(name string) bool { _, ok := p[name]; return ok }

// find reads what the request names, and which operation it means.
func (x *exchange) find() error {
	q, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return errInvalidURI
	}
	x.query = params(q)
	name, key := x.d.target(x.r)
	x.bucket, x.key = name, key
	if !utf8.ValidString(key) {
		return errInvalidURI
	}
	at := atObject
	switch {
	case name == "":
		at = atService
	case key == "":
		at = atBucket
	}
	for _, p := range x.d.ops[route{x.r.Method, at}] {
		if p.fits(x) && (x.op == nil || p.asks() > x.op.asks()) {
			x.op = p
		}
	}
	switch {
	case x.op == nil && x.r.Method != http.MethodPost:
		return errMethod
	case x.op == nil:
		return errNotImplemented
	}
	for _, s := range subresources {
		if x.query.has(s) && !slices.Contains(x.op.marks, s) && !x.optional(s) {
			x.op = nil
			return errNotImplemented
		}
	}
	return nil
}

// optional tells a parameter that is a subresource elsewhere and an option here.
func (x *exchange) optional(name string) bool {
	switch name {
	case "partNumber":
		return x.op.name == "GetObject" || x.op.name == "HeadObject"
	case "versionId": // of an object in a bucket without versions
		return x.query.get(name) == "null" && x.op.level == atObject
	}
	return false
}

func (p *op) fits(x *exchange) bool {
	for _, m := range p.marks {
		if !x.query.has(m) {
			return false
		}
	}
	return p.header == "" || x.r.Header.Get(p.header) != ""
}

func (p *op) asks() int {
	n := len(p.marks)
	if p.header != "" {
		n++
	}
	return n
}

// target returns the bucket and the key that a request names, by its host or its
// path.
func (d *Door) target(r *http.Request) (name, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if name := d.hostBucket(r.Host); name != "" {
		return name, path
	}
	name, key, _ = strings.Cut(path, "/")
	return name, key
}

// hostBucket returns the bucket that a host name begins with: BUCKET.s3.REGION of
// AWS's, BUCKET.localhost, BUCKET.s3.localhost, or BUCKET below a name of the server's.
func (d *Door) hostBucket(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if isAWS(host) {
		for _, mark := range []string{".s3.", ".s3-"} {
			if i := strings.LastIndex(host, mark); i > 0 {
				return host[:i]
			}
		}
		return ""
	}
	for _, own := range append([]string{"localhost"}, d.o.Hosts...) {
		if name, ok := strings.CutSuffix(host, "."+strings.ToLower(own)); ok {
			name = strings.TrimSuffix(name, ".s3")
			if objstore.CheckBucketName(name) == nil { // which "s3" is not
				return name
			}
		}
	}
	return ""
}

func isAWS(host string) bool {
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") || strings.HasSuffix(host, ".api.aws")
}

// Wants reports whether a request is S3's: its signature is for S3, its host is one
// of S3's, or it has no signature and names a bucket that is there.
func (d *Door) Wants(r *http.Request) bool {
	if r.Header.Get("X-Amz-Target") != "" {
		return false
	}
	if scope, ok := sigv4.ParseScope(r); ok {
		return scope.Service == "s3"
	}
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	if isAWS(host) {
		return strings.HasPrefix(host, "s3.") || strings.HasPrefix(host, "s3-") || strings.Contains(host, ".s3.") || strings.Contains(host, ".s3-")
	}
	name, _ := d.target(r)
	if objstore.CheckBucketName(name) != nil {
		return false
	}
	_, err := d.o.Store.HeadBucket(context.WithoutCancel(r.Context()), name)
	return err == nil
}
