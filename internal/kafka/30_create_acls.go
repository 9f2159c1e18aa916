package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// CreateAcls
//
// Adds rules about topics, groups, transactional ids and the cluster, durably and
// from the next request on. One that denies outweighs those that allow; without one
// that allows the answer is no. Access keys are not held to them.
//
// Errors: SECURITY_DISABLED with --auth open, INVALID_REQUEST,
// CLUSTER_AUTHORIZATION_FAILED, POLICY_VIOLATION beyond 10,000 rules.
//
// Status: partial: none about users and delegation tokens, which are not served
func (d *Door) createACLs(r *request, in *kmsg.CreateACLsRequest) (*kmsg.CreateACLsResponse, error) {
	list := make([]brokers.ACL, 0, len(in.Creations))
	for _, c := range in.Creations {
		list = append(list, brokers.ACL{Kind: brokers.ResourceKind(c.ResourceType), Name: c.ResourceName, Pattern: pattern(in.Version, c.ResourcePatternType),
			Principal: c.Principal, Host: c.Host, Operation: brokers.Operation(c.Operation), Permission: brokers.Permission(c.PermissionType)})
	}
	var refused []*brokers.Error
	if d.opts.Enforce {
		refused = d.opts.Security.CreateACLs(r.ctx(), list)
	}
	resp := kmsg.NewPtrCreateACLsResponse()
	for i := range list {
		err := securityDisabled()
		if d.opts.Enforce {
			err = refused[i]
		}
		resp.Results = append(resp.Results, kmsg.CreateACLsResponseResult{ErrorCode: code(err), ErrorMessage: message(err)})
	}
	return resp, nil
}
