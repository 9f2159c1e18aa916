package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster
//
// Tells the cluster's id, its brokers as the client's listener reaches them, and
// which of them is asked for changes.
//
// Errors: MISMATCHED_ENDPOINT_TYPE for controllers: clients do not reach any.
//
// Status: done
func (d *Door) describeCluster(r *request, in *kmsg.DescribeClusterRequest) (*kmsg.DescribeClusterResponse, error) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.EndpointType, resp.ClusterAuthorizedOperations = in.EndpointType, math.MinInt32
	if in.Version >= 1 && in.EndpointType != 1 {
		resp.ErrorCode = mismatchedEndpointType
		resp.ControllerID = -1
		return resp, nil
	}
	resp.EndpointType = 1
	resp.ClusterID, resp.ControllerID = d.cluster.ID(), d.cluster.Controller()
	for _, b := range r.conn.brokers() {
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port = b.id, b.host, b.port
		resp.Brokers = append(resp.Brokers, out)
	}
	return resp, nil
}

// mismatchedEndpointType is MISMATCHED_ENDPOINT_TYPE of Kafka's protocol.
const mismatchedEndpointType = 114
