package lease

import (
	"context"

	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/codec"
	model "thalweg/internal/awsapi/model/dynamodb"
	"thalweg/internal/tables"
)

// maxBatchWrite is how many writes one request may have.
const maxBatchWrite = 25

// BatchWriteItem
//
// Puts and deletes up to 25 items of several tables, without conditions, durably
// and all of them, so UnprocessedItems is always empty. No item may be named
// twice. All tables are the caller's account's and region's.
//
// Errors: as PutItem's; then nothing has been written.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
//
// Status: done
func (d *Tables) BatchWriteItem(ctx context.Context, in *model.BatchWriteItemInput) (*model.BatchWriteItemOutput, error) {
	var writes []tables.Write
	for _, name := range codec.SortedKeys(in.RequestItems) {
		table, err := authorised(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, r := range in.RequestItems[name] {
			w := tables.Write{Table: table}
			switch {
			case (r.PutRequest == nil) == (r.DeleteRequest == nil):
				return nil, invalid("A WriteRequest must have exactly one of PutRequest and DeleteRequest")
			case r.PutRequest != nil:
				w.Item, err = item(r.PutRequest.Item)
			default:
				w.Op = tables.Remove
				w.Key, err = item(r.DeleteRequest.Key)
			}
			if err != nil {
				return nil, err
			}
			writes = append(writes, w)
		}
	}
	if len(writes) > maxBatchWrite {
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	if err := d.tables.Batch(ctx, scopeOf(awsapi.CallerFrom(ctx)), writes); err != nil {
		return nil, wireError(err)
	}
	return &model.BatchWriteItemOutput{UnprocessedItems: map[string][]model.WriteRequest{}}, nil
}
