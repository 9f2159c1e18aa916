package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterConfigs
//
// Replaces a topic's or a group's configuration by the entries given; those not named go back
// to their defaults. Retention takes effect at once.
//
// Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG, POLICY_VIOLATION for a
// Kinesis stream, INVALID_REQUEST for another kind of resource.
//
// Status: partial: topics and groups only
func (d *Door) alterConfigs(r *request, in *kmsg.AlterConfigsRequest) (*kmsg.AlterConfigsResponse, error) {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for i := range in.Resources {
		res := &in.Resources[i]
		var changes []brokers.ConfigChange
		var err *brokers.Error
		for _, c := range res.Configs {
			if c.Value == nil {
				err = refuse(brokers.InvalidConfig, "Null value not supported for : "+c.Name)
				break
			}
			changes = append(changes, brokers.ConfigChange{Name: c.Name, Value: *c.Value})
		}
		if err == nil {
			err = d.changeConfigs(r, res.ResourceType, res.ResourceName, changes, true, in.ValidateOnly)
		}
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = res.ResourceType, res.ResourceName, code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp, nil
}

func (d *Door) changeConfigs(r *request, kind kmsg.ConfigResourceType, name string, changes []brokers.ConfigChange, replace, checkOnly bool) *brokers.Error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
	case kmsg.ConfigResourceTypeGroupConfig:
		return d.cluster.ChangeGroupConfigs(r.ctx(), name, changes, replace, checkOnly)
	default:
		return refuse(brokers.InvalidRequest, "Only the configuration of topics and groups can be changed here.")
	}
	t, err := d.topicOrError(name)
	switch {
	case err != nil && err.Code == brokers.UnknownTopic:
		return refuse(brokers.UnknownTopic, "The topic '"+name+"' does not exist.")
	case err != nil:
		return err
	}
	return d.cluster.ChangeConfigs(r.ctx(), t, changes, replace, checkOnly)
}
