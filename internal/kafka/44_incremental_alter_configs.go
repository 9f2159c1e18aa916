package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// IncrementalAlterConfigs
//
// Sets or deletes entries of a topic's or a group's configuration, and adds to or takes from
// those that are lists. Retention takes effect at once.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, POLICY_VIOLATION for a
// Kinesis stream, INVALID_REQUEST for another kind of resource, or a resource or
// an entry named twice.
//
// Status: partial: topics and groups only
func (d *Door) incrementalAlterConfigs(r *request, in *kmsg.IncrementalAlterConfigsRequest) (*kmsg.IncrementalAlterConfigsResponse, error) {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	type resource struct {
		kind kmsg.ConfigResourceType
		name string
	}
	named := map[resource]int{}
	for i := range in.Resources {
		named[resource{in.Resources[i].ResourceType, in.Resources[i].ResourceName}]++
	}
	for i := range in.Resources {
		res := &in.Resources[i]
		changes, err := configChanges(res.Configs)
		switch {
		case named[resource{res.ResourceType, res.ResourceName}] > 1:
			err = refuse(brokers.InvalidRequest, "Each resource must appear at most once.")
		case err == nil:
			err = d.changeConfigs(r, res.ResourceType, res.ResourceName, changes, false, in.ValidateOnly)
		}
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = res.ResourceType, res.ResourceName, code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp, nil
}

func configChanges(in []kmsg.IncrementalAlterConfigsRequestResourceConfig) ([]brokers.ConfigChange, *brokers.Error) {
	var out []brokers.ConfigChange
	seen := map[string]bool{}
	for _, c := range in {
		ch := brokers.ConfigChange{Name: c.Name, Op: brokers.ConfigOp(c.Op)}
		switch {
		case seen[c.Name]:
			return nil, refuse(brokers.InvalidRequest, "Error due to duplicate config keys")
		case c.Value == nil && ch.Op != brokers.DeleteConfig:
			return nil, refuse(brokers.InvalidRequest, "Null value not supported for : "+c.Name)
		case c.Value != nil:
			ch.Value = *c.Value
		}
		seen[c.Name] = true
		out = append(out, ch)
	}
	return out, nil
}
