// Package msk is the door of Amazon MSK: it turns the shapes of the API into calls
// of package clusters and back. One file per operation, each opened by its
// contract; an operation without a file is refused by the generated
// Unimplemented.
//
// What a shape says of machines, disks and networks that there are not here is
// kept with the cluster and told as it was given; the operations' files say so.
//
// The door keeps no state and is safe for concurrent use.
package msk

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/delivery"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
)

// Door answers the operations of Amazon MSK.
type Door struct {
	model.Unimplemented
	clusters *clusters.Service
	channels *delivery.Service
}

// New returns the door to c, and to what delivers for its channels.
func New(c *clusters.Service, channels *delivery.Service) *Door {
	return &Door{clusters: c, channels: channels}
}

// Service is the table of operations to serve.
func (d *Door) Service() *awsapi.Service { return model.NewService(d) }

// scopeOf is where a caller's names mean something.
func scopeOf(c awsapi.Caller) catalog.Scope {
	return catalog.Scope{Account: c.Account, Region: c.Region}
}

// named is what an ARN of Amazon MSK names: arn:aws:kafka:REGION:ACCOUNT:KIND/NAME/UUID-1
// and what may follow that.
type named struct {
	scope      catalog.Scope
	kind, name string
	uuid       string
	rest       string
}

// parseARN reads the ARN of one of some kinds of things; member is whose value it is.
func parseARN(text, member string, kinds ...string) (named, error) {
	p, ok := arn.Parse(text)
	parts := strings.SplitN(p.Resource, "/", 4)
	if !ok || p.Service != "kafka" || len(parts) < 3 || !slices.Contains(kinds, parts[0]) {
		return named{}, invalid(member, "One or more of the parameters are not valid: "+text+" is not the ARN of a "+strings.Join(kinds, " or ")+".")
	}
	n := named{scope: catalog.Scope{Account: p.Account, Region: p.Region}, kind: parts[0], name: parts[1]}
	if n.uuid, ok = strings.CutSuffix(parts[2], "-1"); !ok {
		n.uuid = parts[2]
	}
	if len(parts) == 4 {
		n.rest = parts[3]
	}
	return n, nil
}

// cluster is the cluster that an ARN names.
func (d *Door) cluster(text opt.V[string]) (*catalog.Resource, error) {
	return d.clusterIn(text.V, "clusterArn")
}

// clusterIn is the cluster whose ARN a member is, to the letter: by it its policy
// was asked.
func (d *Door) clusterIn(text, member string) (*catalog.Resource, error) {
	n, err := parseARN(text, member, "cluster")
	if err != nil {
		return nil, err
	}
	r, err := d.clusters.Lookup(n.scope, n.name, n.uuid)
	if err == nil && r.ARN != text {
		err = clusters.ErrNotFound
	}
	return r, wireError(err)
}

// invalid is a BadRequest that names the member it is about.
func invalid(member, msg string) *awsapi.Error {
	return model.NewBadRequestException(msg).With("invalidParameter", member)
}

// wireError is the table from kinds of failure to the errors of the API.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	msg := message(err)
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Unsupported, errs.LimitExceeded, errs.InUse:
		return model.NewBadRequestException(msg)
	case errs.NotFound:
		return model.NewNotFoundException(msg)
	case errs.Exists:
		return model.NewConflictException(msg)
	case errs.Throttled:
		return model.NewTooManyRequestsException(msg)
	case errs.Denied:
		return model.NewForbiddenException(msg)
	case errs.NoSpace:
		return model.NewServiceUnavailableException(msg)
	case errs.ReadOnly:
		return model.NewInternalServerErrorException(msg)
	}
	return err // becomes InternalFailure and a line in the log
}

// message is the sentence for the client.
func message(err error) string {
	var e *errs.Error
	if errors.As(err, &e) && e.Msg != "" {
		return e.Msg
	}
	return err.Error()
}

func millis(ms int64) opt.V[time.Time] { return opt.Of(time.UnixMilli(ms).UTC()) }

// some is a text, absent when it is empty.
func some(s string) opt.V[string] { return opt.V[string]{V: s, Set: s != ""} }

// limitOf is a page size.
func limitOf(v opt.V[int32]) int { return int(v.Or(100)) }

// A page token is the name of the last that was listed. It says nothing that the
// page did not.

func tokenOf(name string, more bool) opt.V[string] {
	if !more {
		return opt.V[string]{}
	}
	return opt.Of(base64.RawURLEncoding.EncodeToString([]byte(name)))
}

func afterToken(token opt.V[string]) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token.V)
	if err != nil || token.Set && len(b) == 0 {
		return "", invalid("nextToken", "The next token is not valid.")
	}
	return string(b), nil
}

// pageOf is the part of a list, sorted by what name gives, that a request asks for.
func pageOf[T any](all []T, token opt.V[string], limit opt.V[int32], name func(T) string) ([]T, opt.V[string], error) {
	after, err := afterToken(token)
	if err != nil {
		return nil, opt.V[string]{}, err
	}
	i, found := slices.BinarySearchFunc(all, after, func(v T, after string) int { return cmp.Compare(name(v), after) })
	if found {
		i++
	}
	page := all[i:]
	if len(page) <= limitOf(limit) {
		return page, opt.V[string]{}, nil
	}
	page = page[:limitOf(limit)]
	return page, tokenOf(name(page[len(page)-1]), true), nil
}

// shape writes a shape as it is kept with a cluster.
func shape(x awsapi.Output) []byte {
	e := json.NewEncoder(nil)
	x.Encode(e)
	return e.Bytes()
}

// unshape reads what shape wrote.
func unshape(text []byte, x awsapi.Output) {
	if len(text) == 0 {
		return
	}
	x.Decode(json.NewDecoder(text))
}

// caller is who asks, for operations that name nothing.
func caller(ctx context.Context) catalog.Scope { return scopeOf(awsapi.CallerFrom(ctx)) }

// room draws what an answer about clusters takes on the memory budget.
func room(ctx context.Context, list ...*catalog.Resource) error {
	n := 0
	for _, r := range list {
		n += 2 * (1<<10 + len(r.Cluster.Shape))
	}
	if !awsapi.Hold(ctx, n) {
		return model.NewTooManyRequestsException("The server is over its memory budget.")
	}
	return nil
}
