package kafka

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeCluster
//
// Tells the cluster's id, its brokers as the client's listener reaches them, and
// which of them is asked for changes.
//
// Errors: MISMATCHED_ENDPOINT_TYPE for controllers: clients do not reach any;
// UNSUPPORTED_ENDPOINT_TYPE for what is neither.
//
// Status: done
func (d *Door) describeCluster(r *request, in *kmsg.DescribeClusterRequest) (*kmsg.DescribeClusterResponse, error) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterAuthorizedOperations = noOperations
	if err := checkEndpointType(in); err != nil {
		resp.ErrorCode, resp.ErrorMessage, resp.ControllerID = code(err), message(err), -1
		return resp, nil
	}
	resp.ClusterAuthorizedOperations = r.conn.operations(in.IncludeClusterAuthorizedOperations, brokers.ClusterKind, brokers.ClusterResource)
	resp.ClusterID, resp.ControllerID = d.cluster.ID(), d.cluster.Controller()
	for _, b := range r.conn.brokers() {
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port = b.id, b.host, b.port
		resp.Brokers = append(resp.Brokers, out)
	}
	return resp, nil
}

func checkEndpointType(in *kmsg.DescribeClusterRequest) *brokers.Error {
	switch {
	case in.Version < 1 || in.EndpointType == 1:
		return nil
	case in.EndpointType == 2:
		return refuse(brokers.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER")
	}
	return refuse(brokers.UnsupportedEndpointType, "Unsupported endpoint type "+strconv.Itoa(int(in.EndpointType)))
}
