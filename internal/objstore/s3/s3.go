// Package s3 is an object store in any service that speaks Amazon S3, by AWS's own
// client.
//
// A body is read into memory one part at a time, so that a part can be sent again:
// one of at most a part is put whole, a longer one in parts that become the object at
// once. Both draw on the memory budget. Conditions are the service's to keep; some
// that are not AWS's take If-None-Match and do not look at it.
//
// A store keeps no state, and is safe for concurrent use.
package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"thalweg/internal/errs"
	"thalweg/internal/limits"
	"thalweg/internal/objstore"
)

// Options say where the service is. Region and the keys are needed.
type Options struct {
	Endpoint  string // URL; empty is AWS
	Region    string
	AccessKey string
	SecretKey string
	Token     string // of temporary keys
	PathStyle bool   // buckets stand in the path, not in the host name
	Memory    *limits.Budget
	// Client makes the requests; nil is one of the AWS client's own.
	Client *http.Client
}

// Store is an object store. It is safe for concurrent use.
type Store struct {
	c      *s3.Client
	o      Options
	memory *limits.Budget
}

var _ objstore.Store = (*Store)(nil)

// firstRegion is where S3 wants no region to be named.
const firstRegion = "us-east-1"

// New returns a store. It connects to nothing.
func New(o Options) *Store {
	so := s3.Options{Region: o.Region, UsePathStyle: o.PathStyle,
		Credentials: credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.Token)}
	if o.Endpoint != "" {
		so.BaseEndpoint = &o.Endpoint
	}
	if o.Client != nil {
		so.HTTPClient = o.Client
	}
	return &Store{c: s3.New(so), o: o, memory: o.Memory}
}

// codes are S3's errors that a Store has names for.
var codes = map[string]error{
	"NoSuchBucket":            objstore.ErrNoBucket,
	"InvalidBucketName":       objstore.ErrBucketName,
	"BucketAlreadyExists":     objstore.ErrBucketExists,
	"BucketAlreadyOwnedByYou": objstore.ErrBucketExists,
	"BucketNotEmpty":          objstore.ErrBucketNotEmpty,
	"TooManyBuckets":          objstore.ErrTooManyBuckets,
	"NoSuchKey":               objstore.ErrNoKey,
	"KeyTooLongError":         objstore.ErrKey,
	"PreconditionFailed":      objstore.ErrPrecondition,
	"NoSuchUpload":            objstore.ErrNoUpload,
	"InvalidPart":             objstore.ErrPart,
	"InvalidPartOrder":        objstore.ErrPartOrder,
	"EntityTooSmall":          objstore.ErrPartSize,
}

// kinds are those that tell what to do about them.
var kinds = map[string]errs.Kind{
	"AccessDenied": errs.Denied, "SignatureDoesNotMatch": errs.Denied, "InvalidAccessKeyId": errs.Denied, "ExpiredToken": errs.Denied,
	"SlowDown": errs.Throttled, "ServiceUnavailable": errs.Throttled, "RequestTimeout": errs.Throttled, "NotImplemented": errs.Unsupported,
}

// wire returns an error of the client's as a Store's.
func wire(op string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return errs.Wrap(errs.Internal, op, err)
	}
	if known := codes[api.ErrorCode()]; known != nil {
		return known
	}
	return errs.Wrap(kinds[api.ErrorCode()], op, err)
}

// notFound reports an answer of 404 without a document, as to a HEAD.
func notFound(err error) bool {
	var resp *awshttp.ResponseError
	return errors.As(err, &resp) && resp.HTTPStatusCode() == http.StatusNotFound
}

// CreateBucket implements [objstore.Store].
func (s *Store) CreateBucket(ctx context.Context, b objstore.Bucket) error {
	if err := objstore.CheckBucketName(b.Name); err != nil {
		return err
	}
	in := &s3.CreateBucketInput{Bucket: &b.Name}
	if s.o.Region != firstRegion {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.o.Region)}
	}
	_, err := s.c.CreateBucket(ctx, in)
	return wire("create bucket", err)
}

// DeleteBucket implements [objstore.Store].
func (s *Store) DeleteBucket(ctx context.Context, bucket string) error {
	_, err := s.c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	return wire("delete bucket", err)
}

// HeadBucket implements [objstore.Store]. Who owns a bucket is not told by S3.
func (s *Store) HeadBucket(ctx context.Context, bucket string) (objstore.Bucket, error) {
	out, err := s.c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if notFound(err) {
		return objstore.Bucket{}, objstore.ErrNoBucket
	}
	if err != nil {
		return objstore.Bucket{}, wire("head bucket", err)
	}
	return objstore.Bucket{Name: bucket, Region: aws.ToString(out.BucketRegion)}, nil
}

// ListBuckets implements [objstore.Store].
func (s *Store) ListBuckets(ctx context.Context) ([]objstore.Bucket, error) {
	var all []objstore.Bucket
	in := &s3.ListBucketsInput{}
	for {
		out, err := s.c.ListBuckets(ctx, in)
		if err != nil {
			return nil, wire("list buckets", err)
		}
		for _, b := range out.Buckets {
			all = append(all, objstore.Bucket{Name: aws.ToString(b.Name), Region: aws.ToString(b.BucketRegion), Created: aws.ToTime(b.CreationDate)})
		}
		if in.ContinuationToken = out.ContinuationToken; aws.ToString(in.ContinuationToken) == "" {
			return all, nil
		}
	}
}

// text is a pointer to s, nil for none.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func untag(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
