package glue

import (
	"context"
	"regexp"

	model "thalweg/internal/awsapi/model/glue"
	"thalweg/internal/opt"
)

// GetTables
//
// Returns the tables of a database by name, each at its last version, at most 100 an
// answer (MaxResults); Expression is a regular expression that a whole name matches.
// NextToken is where the next answer begins.
//
// Errors: EntityNotFound for the database; InvalidInput for an Expression that is none, and
// for QueryAsOfTime, TransactionId and AttributesToGet.
// https://docs.aws.amazon.com/glue/latest/webapi/API_GetTables.html
//
// Status: done
// Deviation: Expression is of RE2's syntax, which has no look-around
func (d *Door) GetTables(ctx context.Context, in *model.GetTablesInput) (*model.GetTablesOutput, error) {
	scope, err := allow(ctx, in.CatalogId.V, in.DatabaseName.V)
	if err != nil {
		return nil, err
	}
	err = unsupported(map[string]bool{"QueryAsOfTime": !in.QueryAsOfTime.V.IsZero(), "TransactionId": in.TransactionId.V != "",
		"AttributesToGet": len(in.AttributesToGet) > 0})
	if err != nil {
		return nil, err
	}
	match := func(string) bool { return true }
	if in.Expression.V != "" {
		if _, err := regexp.Compile(in.Expression.V); err != nil {
			return nil, model.NewInvalidInputException("Expression is not a regular expression: " + err.Error())
		}
		re, err := regexp.Compile(`(?i)\A(?:` + in.Expression.V + `)\z`)
		if err != nil {
			return nil, model.NewInvalidInputException("Expression is not a regular expression: " + err.Error())
		}
		match = re.MatchString
	}
	list, more, err := d.schemas.Tables(scope, in.DatabaseName.V, in.NextToken.V, int(in.MaxResults.Or(100)), match)
	if err != nil {
		return nil, wireError(err)
	}
	size := 0
	for _, t := range list {
		size += len(t.Document)
	}
	if err := hold(ctx, size); err != nil {
		return nil, err
	}
	out := &model.GetTablesOutput{TableList: []model.Table{}}
	for _, t := range list {
		out.TableList = append(out.TableList, *shownTable(t))
	}
	if more {
		out.NextToken = opt.Of(list[len(list)-1].Name)
	}
	return out, nil
}
