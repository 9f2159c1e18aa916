package kafka

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// ListConfigResources
//
// Lists what has a configuration, of the types asked for: topics, brokers, and groups
// that were given one. There is none of client metrics and loggers.
//
// Errors: UNSUPPORTED_VERSION for a type that there is not,
// CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) listConfigResources(_ *request, in *kmsg.ListConfigResourcesRequest) (*kmsg.ListConfigResourcesResponse, error) {
	resp := kmsg.NewPtrListConfigResourcesResponse()
	const topics, brokersOf, loggers, clientMetrics, groups = 2, 4, 8, 16, 32
	types := in.ResourceTypes
	switch {
	case in.Version == 0:
		types = []int8{clientMetrics}
	case len(types) == 0:
		types = []int8{topics, brokersOf, loggers, clientMetrics, groups}
	}
	for i, kind := range types {
		if slices.Contains(types[:i], kind) {
			continue
		}
		switch kind {
		case topics:
			for _, t := range d.cluster.Topics() {
				resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: t.Name(), Type: kind})
			}
		case brokersOf:
			for b := range d.cluster.Brokers() {
				resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: strconv.Itoa(int(b) + 1), Type: kind})
			}
		case groups:
			for _, g := range d.cluster.ConfiguredGroups() {
				resp.ConfigResources = append(resp.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: g, Type: kind})
			}
		case loggers, clientMetrics:
		default:
			return &kmsg.ListConfigResourcesResponse{ErrorCode: int16(brokers.UnsupportedVersion)}, nil
		}
	}
	return resp, nil
}
