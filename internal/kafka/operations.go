package kafka

import (
	"math"

	"thalweg/internal/brokers"
)

// noOperations tells clients nothing of what they may do.
const noOperations = math.MinInt32

// operations is what the client may do to a resource, a bit for each operation by
// its number (KIP-430), where it asked for that.
func (c *conn) operations(asked bool, kind brokers.ResourceKind, name string) int32 {
	if !asked {
		return noOperations
	}
	bits := int32(0)
	for _, op := range operationsOn(kind) {
		if c.may(op, kind, name) {
			bits |= 1 << op
		}
	}
	return bits
}

// operationsOn are the operations that there are on a kind of resource.
func operationsOn(kind brokers.ResourceKind) []brokers.Operation {
	switch kind {
	case brokers.TopicKind:
		return []brokers.Operation{brokers.OpRead, brokers.OpWrite, brokers.OpCreate, brokers.OpDelete, brokers.OpAlter, brokers.OpDescribe,
			brokers.OpDescribeConfigs, brokers.OpAlterConfigs}
	case brokers.GroupKind:
		return []brokers.Operation{brokers.OpRead, brokers.OpDelete, brokers.OpDescribe, brokers.OpDescribeConfigs, brokers.OpAlterConfigs}
	}
	return []brokers.Operation{brokers.OpCreate, brokers.OpAlter, brokers.OpDescribe, brokers.OpClusterAction, brokers.OpDescribeConfigs,
		brokers.OpAlterConfigs, brokers.OpIdempotentWrite}
}
