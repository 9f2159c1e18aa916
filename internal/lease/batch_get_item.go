package lease

import (
	"context"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
	"thalweg/internal/tables/expr"
)

// maxBatchGet is how many items one answer may have, maxBatchGetBytes their size.
const (
	maxBatchGet      = 100
	maxBatchGetBytes = 16 << 20
)

// BatchGetItem
//
// Returns the items of up to 100 keys of several tables, as they are at one
// instant, in no order that means anything. Beyond 16 MB the rest is in
// UnprocessedKeys. All tables are the caller's account's and region's.
//
// Errors: ResourceNotFound; Validation.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
//
// Status: done
func (d *Tables) BatchGetItem(ctx context.Context, in *model.BatchGetItemInput) (*model.BatchGetItemOutput, error) {
	var keys []tables.Address
	var asked []string // RequestItems' key of each of keys
	projections := map[string]expr.Projection{}
	for _, name := range codec.SortedKeys(in.RequestItems) {
		table, err := authorised(ctx, name)
		if err != nil {
			return nil, err
		}
		r := in.RequestItems[name]
		if projections[name], err = projection(r.ProjectionExpression, r.AttributesToGet, r.ExpressionAttributeNames); err != nil {
			return nil, err
		}
		for _, k := range r.Keys {
			key, err := item(k)
			if err != nil {
				return nil, err
			}
			for _, other := range keys {
				if other.Table == table && other.Key.Equal(key) {
					return nil, invalid("Provided list of item keys contains duplicates")
				}
			}
			keys, asked = append(keys, tables.Address{Table: table, Key: key}), append(asked, name)
		}
	}
	if len(keys) > maxBatchGet {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	found, err := d.tables.GetAll(scopeOf(awsapi.CallerFrom(ctx)), keys)
	if err != nil {
		return nil, wireError(err)
	}
	out := &model.BatchGetItemOutput{Responses: map[string][]map[string]model.AttributeValue{}, UnprocessedKeys: map[string]model.KeysAndAttributes{}}
	size := 0
	for i, it := range found {
		name := asked[i]
		if size += it.Size(); size > maxBatchGetBytes {
			rest := out.UnprocessedKeys[name]
			if rest.Keys == nil {
				rest = in.RequestItems[name]
				rest.Keys = nil
			}
			rest.Keys = append(rest.Keys, attributes(keys[i].Key))
			out.UnprocessedKeys[name] = rest
			continue
		}
		if out.Responses[name] == nil {
			out.Responses[name] = []map[string]model.AttributeValue{}
		}
		if it != nil {
			out.Responses[name] = append(out.Responses[name], attributes(selected(projections[name], it)))
		}
	}
	return out, hold(ctx, min(size, maxBatchGetBytes))
}
