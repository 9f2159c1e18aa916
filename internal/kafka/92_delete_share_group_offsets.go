package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteShareGroupOffsets
//
// Has a share group without members know nothing of topics, durably: it begins them anew
// as share.auto.offset.reset says.
//
// Errors: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, also for a group that is no share group;
// INVALID_GROUP_ID, UNKNOWN_TOPIC_OR_PARTITION, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) deleteShareOffsets(r *request, in *kmsg.DeleteShareGroupOffsetsRequest) (*kmsg.DeleteShareGroupOffsetsResponse, error) {
	resp := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
	if err := d.emptyShare(r, in.GroupID, false); err != nil {
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return resp, nil
	}
	for i := range in.Topics {
		out := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		out.Topic = in.Topics[i].Topic
		err := unknownTopic()
		if t := d.cluster.Topic(out.Topic); t != nil {
			out.TopicID, err = t.ID(), d.cluster.Shares().ForgetTopic(r.ctx(), in.GroupID, t)
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}
