package kafka

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups
//
// Lists the groups that the broker coordinates, of the states and types asked for:
// a client that asks every broker finds each group once.
//
// Errors: COORDINATOR_NOT_AVAILABLE.
//
// Status: done
func (d *Door) listGroups(r *request, in *kmsg.ListGroupsRequest) (*kmsg.ListGroupsResponse, error) {
	resp := kmsg.NewPtrListGroupsResponse()
	groups, err := d.cluster.Groups().List(r.ctx())
	resp.ErrorCode = code(err)
	for _, g := range groups {
		if d.cluster.Groups().Coordinator(g.ID) != r.conn.at.Broker || !wanted(in.StatesFilter, string(g.State)) || !wanted(in.TypesFilter, g.Type) {
			continue
		}
		out := kmsg.NewListGroupsResponseGroup()
		out.Group, out.ProtocolType, out.GroupState, out.GroupType = g.ID, g.ProtocolType, string(g.State), g.Type
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}

func wanted(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}
