package lease

import (
	"context"
	"strconv"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
)

// Scan
//
// Returns all items of a table or an index, those that FilterExpression
// (ScanFilter) keeps, up to Limit and up to 1 MB of what is read. With Segment and
// TotalSegments it is the part of one of several that share the work; every item
// is in one of them. LastEvaluatedKey is where the next page begins, absent at the
// end. Every read is consistent, page by page.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
//
// Status: done
func (d *Tables) Scan(ctx context.Context, in *model.ScanInput) (*model.ScanOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	x, err := input(
		[]parameter{{"ProjectionExpression", in.ProjectionExpression.Set}, {"FilterExpression", in.FilterExpression.Set}},
		[]parameter{{"AttributesToGet", in.AttributesToGet != nil}, {"ScanFilter", in.ScanFilter != nil},
			{"ConditionalOperator", in.ConditionalOperator.Set}},
		in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Segment.Set && !in.TotalSegments.Set:
		return nil, invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case in.TotalSegments.Set && !in.Segment.Set:
		return nil, invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.Segment.Set && in.Segment.V >= in.TotalSegments.V:
		return nil, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: " +
			strconv.Itoa(int(in.Segment.V)) + " is not less than TotalSegments: " + strconv.Itoa(int(in.TotalSegments.V)))
	}
	q := &tables.Search{Table: table, Index: in.IndexName.V, Segment: int(in.Segment.V), Segments: int(in.TotalSegments.V),
		Limit: int(in.Limit.V), Consistent: in.ConsistentRead.V}
	if q.Filter, err = filterOf(x, in.FilterExpression, in.ScanFilter, in.ConditionalOperator); err != nil {
		return nil, err
	}
	p, err := selection(x, in.ProjectionExpression, in.AttributesToGet)
	if err != nil {
		return nil, err
	}
	if err := x.Unused(); err != nil {
		return nil, wireError(err)
	}
	page, err := d.search(ctx, scope, q, in.ExclusiveStartKey, in.Select, p)
	if err != nil {
		return nil, err
	}
	return &model.ScanOutput{Count: opt.Of(page.count), ScannedCount: opt.Of(page.scanned), Items: page.items, LastEvaluatedKey: page.last}, nil
}
