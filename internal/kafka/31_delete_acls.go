package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DeleteAcls
//
// Takes away the rules that filters choose, durably, and tells which they were.
//
// Errors: SECURITY_DISABLED with --auth open, INVALID_REQUEST,
// CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) deleteACLs(r *request, in *kmsg.DeleteACLsRequest) (*kmsg.DeleteACLsResponse, error) {
	resp := kmsg.NewPtrDeleteACLsResponse()
	for _, f := range in.Filters {
		gone, err := []brokers.ACL(nil), securityDisabled()
		if d.opts.Enforce {
			gone, err = d.opts.Security.DeleteACLs(r.ctx(), brokers.ACLFilter{Kind: brokers.ResourceKind(f.ResourceType), Name: f.ResourceName,
				Pattern: pattern(in.Version, f.ResourcePatternType), Principal: f.Principal, Host: f.Host,
				Operation: brokers.Operation(f.Operation), Permission: brokers.Permission(f.PermissionType)})
		}
		out := kmsg.DeleteACLsResponseResult{ErrorCode: code(err), ErrorMessage: message(err)}
		for _, a := range gone {
			out.MatchingACLs = append(out.MatchingACLs, kmsg.DeleteACLsResponseResultMatchingACL{ResourceType: kmsg.ACLResourceType(a.Kind),
				ResourceName: a.Name, ResourcePatternType: kmsg.ACLResourcePatternType(a.Pattern), Principal: a.Principal, Host: a.Host,
				Operation: kmsg.ACLOperation(a.Operation), PermissionType: kmsg.ACLPermissionType(a.Permission)})
		}
		resp.Results = append(resp.Results, out)
	}
	return resp, nil
}
