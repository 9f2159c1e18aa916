package glue

import (
	"context"
	"slices"
	"strconv"

	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/opt"
)

// GetTableVersions
//
// Returns the versions of a table that are kept, the last one first, at most 100 an
// answer (MaxResults). NextToken is where the next one begins.
//
// Errors: EntityNotFound; InvalidInput for a token that is none.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersions.html
//
// Status: done
func (d *Door) GetTableVersions(ctx context.Context, in *model.GetTableVersionsInput) (*model.GetTableVersionsOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseName.V, in.TableName.V)
	if err != nil {
		return nil, err
	}
	versions, err := d.schemas.Versions(scope, in.DatabaseName.V, in.TableName.V)
	if err != nil {
		return nil, wireError(err)
	}
	slices.Reverse(versions)
	if in.NextToken.V != "" {
		after, err := strconv.ParseInt(in.NextToken.V, 10, 64)
		if err != nil {
			return nil, model.NewInvalidInputException("NextToken is not one of this operation's.")
		}
		for len(versions) > 0 && versions[0].Version >= after {
			versions = versions[1:]
		}
	}
	out := &model.GetTableVersionsOutput{TableVersions: []model.TableVersion{}}
	if most := int(in.MaxResults.Or(100)); len(versions) > most {
		versions = versions[:most]
		out.NextToken = opt.Of(strconv.FormatInt(versions[most-1].Version, 10))
	}
	size := 0
	for _, t := range versions {
		size += len(t.Document)
	}
	if err := hold(ctx, size); err != nil {
		return nil, err
	}
	for _, t := range versions {
		shown := shownTable(t)
		out.TableVersions = append(out.TableVersions, model.TableVersion{Table: shown, VersionId: shown.VersionId})
	}
	return out, nil
}
