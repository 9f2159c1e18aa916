// Package glue is the door of the part of AWS Glue's Data Catalog that format conversion
// needs: databases, and tables with their versions. One file per operation, each opened
// by its contract.
//
// A catalog is the caller's account's own. Names are kept in lower case, as Glue keeps
// them. Documents are stored as they were given; members that would mean something
// elsewhere (views, links, Iceberg tables made by the service, partition indexes, Lake
// Formation's transactions) are refused.
//
// The door keeps no state and is safe for concurrent use.
package glue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	"thalweg/internal/awsapi/codec/json"
	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
	"thalweg/internal/schemas"
)

// Door answers the operations.
type Door struct{ schemas *schemas.Service }

// New returns the door to s.
func New(s *schemas.Service) *Door { return &Door{s} }

// Service is the table of operations to serve.
func (d *Door) Service() *awsapi.Service { return model.NewService(d) }

// allow asks for what the operation names, as Glue does: the catalog, and the database
// and the table in it. It returns where their names mean something.
func allow(ctx context.Context, catalog string, path ...string) (schemas.Scope, error) {
	c := awsapi.CallerFrom(ctx)
	resources := []string{"catalog"}
	if len(path) > 0 {
		resources = append(resources, "database/"+schemas.Name(path[0]))
	}
	if len(path) > 1 {
		resources = append(resources, "table/"+schemas.Name(path[0])+"/"+schemas.Name(path[1]))
	}
	for _, r := range resources {
		if err := awsapi.Authorize(ctx, c.ARN("glue", r)); err != nil {
			return schemas.Scope{}, err
		}
	}
	if catalog != "" && catalog != c.Account {
		return schemas.Scope{}, model.NewEntityNotFoundException("Catalog " + catalog + " not found.")
	}
	return schemas.Scope{Account: c.Account, Region: c.Region}, nil
}

// unsupported refuses members that are there.
func unsupported(members map[string]bool) error {
	for _, name := range codec.SortedKeys(members) {
		if members[name] {
			return model.NewInvalidInputException(name + " is not supported by this server.")
		}
	}
	return nil
}

// document is a shape as it is kept.
func document(s interface{ Encode(codec.Encoder) }) []byte {
	var e json.Encoder
	s.Encode(&e)
	return e.Bytes()
}

// wireError is the table from kinds of failure to the errors of the API.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	msg := err.Error()
	if e := (*errs.Error)(nil); errors.As(err, &e) && e.Msg != "" {
		msg = e.Msg
	}
	switch errs.KindOf(err) {
	case errs.Invalid:
		return model.NewInvalidInputException(msg)
	case errs.NotFound:
		return model.NewEntityNotFoundException(msg)
	case errs.Exists:
		return model.NewAlreadyExistsException(msg)
	case errs.Fenced:
		return model.NewConcurrentModificationException(msg)
	case errs.LimitExceeded:
		return model.NewResourceNumberLimitExceededException(msg)
	case errs.Throttled:
		return model.NewOperationTimeoutException(msg)
	case errs.NoSpace, errs.ReadOnly:
		return model.NewInternalServiceException(msg)
	}
	return err // becomes InternalFailure and a line in the log
}

// seconds is a time as Glue tells it.
func seconds(millis int64) opt.V[time.Time] { return opt.Of(time.UnixMilli(millis).UTC()) }

func shownDatabase(d *schemas.Database) model.Database {
	out := *codec.Struct[model.Database](json.NewDecoder(d.Document))
	out.Name, out.CatalogId, out.CreateTime = opt.Of(d.Name), opt.Of(d.Account), seconds(d.Created)
	return out
}

func shownTable(t *schemas.Table) *model.Table {
	out := codec.Struct[model.Table](json.NewDecoder(t.Document))
	out.Name, out.DatabaseName, out.CatalogId = opt.Of(t.Name), opt.Of(t.Database), opt.Of(t.Account)
	out.CreateTime, out.UpdateTime = seconds(t.Created), seconds(t.Updated)
	out.VersionId = opt.Of(strconv.FormatInt(t.Version, 10))
	out.IsRegisteredWithLakeFormation = opt.Of(false)
	return out
}

// hold draws what an answer of these documents takes to build on the budget.
func hold(ctx context.Context, size int) error {
	const expansion = 6 // shapes and text beside the bytes themselves
	if !awsapi.Hold(ctx, expansion*size) {
		return model.NewOperationTimeoutException("The server is short of memory for requests. Try again later.")
	}
	return nil
}

// versionOf reads the id of a version; none is the last.
func versionOf(id opt.V[string]) (int64, error) {
	if id.V == "" {
		return schemas.Latest, nil
	}
	n, err := strconv.ParseInt(id.V, 10, 64)
	if err != nil || n < 0 {
		return 0, model.NewInvalidInputException("VersionId " + strconv.Quote(id.V) + " is not a number.")
	}
	return n, nil
}

// checkTable refuses what a table cannot have here.
func checkTable(in *model.TableInput) error {
	if in == nil {
		return model.NewInvalidInputException("TableInput is required.")
	}
	return unsupported(map[string]bool{
		"TableInput.FederatedTable": in.FederatedTable != nil, "TableInput.TargetTable": in.TargetTable != nil,
		"TableInput.ViewDefinition": in.ViewDefinition != nil,
	})
}

// checkDatabase refuses what a database cannot have here.
func checkDatabase(in *model.DatabaseInput) error {
	return unsupported(map[string]bool{
		"DatabaseInput.FederatedDatabase": in.FederatedDatabase != nil, "DatabaseInput.TargetDatabase": in.TargetDatabase != nil,
	})
}
