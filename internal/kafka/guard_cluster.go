package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// onCluster guards a request that needs a right on the cluster and is refused whole.
func onCluster[Req kmsg.Request](op brokers.Operation, refused func(Req, *brokers.Error) kmsg.Response) guard {
	return func(r *request, in kmsg.Request) (kmsg.Response, func(kmsg.Response)) {
		req, ok := in.(Req)
		if ok && r.conn.mayCluster(op) {
			return nil, nil
		}
		return refused(req, clusterDenied()), nil
	}
}

// clusterGuards are those of what administrators ask of the cluster.
func clusterGuards() map[int16]guard {
	return map[int16]guard{
		34: onCluster(brokers.OpAlter, func(in *kmsg.AlterReplicaLogDirsRequest, err *brokers.Error) kmsg.Response {
			return notMoved(in, err.Code)
		}),
		35: onCluster(brokers.OpDescribe, func(_ *kmsg.DescribeLogDirsRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.DescribeLogDirsResponse{ErrorCode: code(err)}
		}),
		43: onCluster(brokers.OpAlter, func(in *kmsg.ElectLeadersRequest, err *brokers.Error) kmsg.Response {
			resp := kmsg.NewPtrElectLeadersResponse()
			resp.ErrorCode = code(err)
			for _, t := range in.Topics { // version 0 has no code of its own
				out := kmsg.NewElectLeadersResponseTopic()
				out.Topic = t.Topic
				for _, p := range t.Partitions {
					out.Partitions = append(out.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: p, ErrorCode: code(err), ErrorMessage: message(err)})
				}
				resp.Topics = append(resp.Topics, out)
			}
			return resp
		}),
		45: onCluster(brokers.OpAlter, func(_ *kmsg.AlterPartitionAssignmentsRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.AlterPartitionAssignmentsResponse{ErrorCode: code(err), ErrorMessage: message(err)}
		}),
		46: onCluster(brokers.OpDescribe, func(_ *kmsg.ListPartitionReassignmentsRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.ListPartitionReassignmentsResponse{ErrorCode: code(err), ErrorMessage: message(err)}
		}),
		48: onCluster(brokers.OpDescribeConfigs, func(_ *kmsg.DescribeClientQuotasRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.DescribeClientQuotasResponse{ErrorCode: code(err), ErrorMessage: message(err)}
		}),
		49: onCluster(brokers.OpAlterConfigs, func(in *kmsg.AlterClientQuotasRequest, err *brokers.Error) kmsg.Response {
			resp := kmsg.NewPtrAlterClientQuotasResponse()
			for i := range in.Entries {
				resp.Entries = append(resp.Entries, quotaAnswer(&in.Entries[i], err))
			}
			return resp
		}),
		55: onCluster(brokers.OpDescribe, func(_ *kmsg.DescribeQuorumRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.DescribeQuorumResponse{ErrorCode: code(err), ErrorMessage: message(err)}
		}),
		57: onCluster(brokers.OpAlter, func(_ *kmsg.UpdateFeaturesRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.UpdateFeaturesResponse{ErrorCode: code(err), ErrorMessage: message(err)}
		}),
		74: onCluster(brokers.OpDescribeConfigs, func(_ *kmsg.ListConfigResourcesRequest, err *brokers.Error) kmsg.Response {
			return &kmsg.ListConfigResourcesResponse{ErrorCode: code(err)}
		}),
	}
}
