package kafka

import (
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
	states, types := filterOf(in.StatesFilter), filterOf(in.TypesFilter)
	for _, g := range groups {
		if d.cluster.Groups().Coordinator(g.ID) != r.conn.at.Broker || !states.wants(string(g.State)) || !types.wants(g.Type) {
			continue
		}
		out := kmsg.NewListGroupsResponseGroup()
		out.Group, out.ProtocolType, out.GroupState, out.GroupType = g.ID, g.ProtocolType, string(g.State), g.Type
		resp.Groups = append(resp.Groups, out)
	}
	return resp, nil
}

// filter is values that are asked for, in whatever case; without one all are.
type filter map[string]bool

func filterOf(list []string) filter {
	f := filter{}
	for _, v := range list {
		f[strings.ToLower(v)] = true
	}
	return f
}

func (f filter) wants(value string) bool { return len(f) == 0 || f[strings.ToLower(value)] }
