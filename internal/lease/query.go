package lease

import (
	"context"

	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/opt"
	"thalweg/internal/tables"
	"thalweg/internal/tables/expr"
	"thalweg/internal/tables/value"
)

// Query
//
// Returns the items of one partition key of a table or an index, in the order of
// the sort key, those that KeyConditionExpression (KeyConditions) selects and
// FilterExpression (QueryFilter) keeps: up to Limit, and up to 1 MB of what is
// read. LastEvaluatedKey is where the next page begins, absent at the end. Every
// read is consistent, on indexes too.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
//
// Status: done
func (d *Tables) Query(ctx context.Context, in *model.QueryInput) (*model.QueryOutput, error) {
	scope, table, err := resolve(ctx, in.TableName.V)
	if err != nil {
		return nil, err
	}
	x, err := input(
		[]parameter{{"ProjectionExpression", in.ProjectionExpression.Set}, {"FilterExpression", in.FilterExpression.Set},
			{"KeyConditionExpression", in.KeyConditionExpression.Set}},
		[]parameter{{"AttributesToGet", in.AttributesToGet != nil}, {"QueryFilter", in.QueryFilter != nil},
			{"ConditionalOperator", in.ConditionalOperator.Set}, {"KeyConditions", in.KeyConditions != nil}},
		in.ExpressionAttributeNames, in.ExpressionAttributeValues)
	if err != nil {
		return nil, err
	}
	q := &tables.Search{Table: table, Index: in.IndexName.V, Backward: !in.ScanIndexForward.Or(true), Limit: int(in.Limit.V),
		Consistent: in.ConsistentRead.V}
	switch {
	case in.KeyConditionExpression.Set:
		q.Key = func(partition, sort string) (expr.KeyCondition, error) {
			return x.KeyCondition(in.KeyConditionExpression.V, partition, sort)
		}
	case in.KeyConditions != nil:
		c, err := filter(in.KeyConditions, opt.V[model.ConditionalOperator]{})
		if err != nil {
			return nil, err
		}
		q.Key = func(partition, sort string) (expr.KeyCondition, error) {
			return expr.KeyConditionOf(c, "KeyConditions", partition, sort)
		}
	default:
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	if q.Filter, err = filterOf(x, in.FilterExpression, in.QueryFilter, in.ConditionalOperator); err != nil {
		return nil, err
	}
	p, err := selection(x, in.ProjectionExpression, in.AttributesToGet)
	if err != nil {
		return nil, err
	}
	// The key condition is read once the table is known, so its names and values
	// are found to be used only then.
	key := q.Key
	q.Key = func(partition, sort string) (expr.KeyCondition, error) {
		k, err := key(partition, sort)
		if err == nil {
			err = x.Unused()
		}
		return k, err
	}
	page, err := d.search(ctx, scope, q, in.ExclusiveStartKey, in.Select, p)
	if err != nil {
		return nil, err
	}
	return &model.QueryOutput{Count: opt.Of(page.count), ScannedCount: opt.Of(page.scanned), Items: page.items, LastEvaluatedKey: page.last}, nil
}

// filterOf reads the filter of a search, nil when there is none.
func filterOf(x *expr.Input, text opt.V[string], older map[string]model.Condition, operator opt.V[model.ConditionalOperator]) (expr.Condition, error) {
	if older != nil {
		return filter(older, operator)
	}
	return condition(x, "FilterExpression", text)
}

// page is a page as answers have it.
type page struct {
	items          []map[string]model.AttributeValue
	count, scanned int32
	last           map[string]model.AttributeValue
}

// search does a search and shows what is selected.
func (d *Tables) search(ctx context.Context, scope tables.Scope, q *tables.Search, after map[string]model.AttributeValue,
	sel opt.V[model.Select], p expr.Projection,
) (page, error) {
	var out page
	var err error
	switch {
	case sel.V == model.SelectSpecificAttributes && p == nil:
		return out, invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case sel.Set && sel.V != model.SelectSpecificAttributes && p != nil:
		return out, invalid("Cannot specify the AttributesToGet when choosing to get " + string(sel.V))
	case sel.V == model.SelectAllProjectedAttributes && q.Index == "":
		return out, invalid("One or more parameter values were invalid: Select type ALL_PROJECTED_ATTRIBUTES is not supported " +
			"for a Query or Scan that does not specify an IndexName")
	}
	q.Whole = sel.V == model.SelectAllAttributes || p != nil
	if q.After, err = item(after); err != nil {
		return out, invalid("The provided starting key is invalid: " + sentence(err))
	}
	found, err := d.tables.Search(scope, q)
	if err != nil {
		return out, wireError(err)
	}
	if err := hold(ctx, found.Bytes); err != nil {
		return out, err
	}
	out.count, out.scanned, out.last = int32(len(found.Items)), int32(found.Scanned), attributes(found.Last)
	if sel.V == model.SelectCount {
		return out, nil
	}
	shown := make([]value.Item, len(found.Items))
	for i, it := range found.Items {
		shown[i] = selected(p, it)
	}
	out.items = items(shown)
	return out, nil
}
