package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteGroups
//
// Removes groups that have no members, with their offsets, durably.
//
// Errors: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INVALID_GROUP_ID,
// COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) deleteGroups(r *request, in *kmsg.DeleteGroupsRequest) (*kmsg.DeleteGroupsResponse, error) {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	for _, id := range in.Groups {
		out := kmsg.NewDeleteGroupsResponseGroup()
		err := d.cluster.Groups().Delete(r.ctx(), id)
		out.Group, out.ErrorCode = id, code(err) // without a text, as Apache Kafka has it
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}
