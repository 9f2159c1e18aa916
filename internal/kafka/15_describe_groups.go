package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeGroups
//
// Tells a group's state and its members, with what they offered and what they
// were given.
//
// Errors: GROUP_ID_NOT_FOUND from version 6 on, before it the state Dead, also for
// a group of the consumer protocol;
// INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) describeGroups(r *request, in *kmsg.DescribeGroupsRequest) (*kmsg.DescribeGroupsResponse, error) {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	for _, id := range in.Groups {
		out := kmsg.NewDescribeGroupsResponseGroup()
		out.Group, out.AuthorizedOperations = id, r.conn.operations(in.IncludeAuthorizedOperations, brokers.GroupKind, id)
		info, ok, err := d.cluster.Groups().Describe(r.ctx(), id)
		if err == nil && (!ok || info.Type != "classic") {
			text := "Group " + id + " not found."
			if ok {
				text = "Group " + id + " is not a classic group."
			}
			info = brokers.GroupInfo{State: brokers.GroupDead}
			if in.Version >= 6 {
				err = refuse(brokers.GroupIDNotFound, text)
			}
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		out.State, out.ProtocolType, out.Protocol = string(info.State), info.ProtocolType, info.Protocol
		for _, m := range info.Members {
			o := kmsg.NewDescribeGroupsResponseGroupMember()
			o.MemberID, o.ClientID, o.ClientHost, o.ProtocolMetadata, o.MemberAssignment = m.ID, m.ClientID, m.ClientHost, m.Metadata, m.Assignment
			if m.Instance != "" {
				o.InstanceID = &m.Instance
			}
			out.Members = append(out.Members, o)
		}
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}
