package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeAcls
//
// Lists the ACLs that a filter chooses, by resource. There are none, and they
// cannot be made, while nobody is held to them (--auth open).
//
// Errors: SECURITY_DISABLED with --auth open, INVALID_REQUEST,
// CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) describeACLs(_ *request, in *kmsg.DescribeACLsRequest) (*kmsg.DescribeACLsResponse, error) {
	resp := kmsg.NewPtrDescribeACLsResponse()
	list, err := []brokers.ACL(nil), securityDisabled()
	if d.opts.Enforce {
		list, err = d.opts.Security.ACLs(brokers.ACLFilter{Kind: brokers.ResourceKind(in.ResourceType), Name: in.ResourceName,
			Pattern: pattern(in.Version, in.ResourcePatternType), Principal: in.Principal, Host: in.Host,
			Operation: brokers.Operation(in.Operation), Permission: brokers.Permission(in.PermissionType)})
	}
	resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
	for _, a := range list {
		n := len(resp.Resources)
		if n == 0 || resp.Resources[n-1].ResourceType != kmsg.ACLResourceType(a.Kind) || resp.Resources[n-1].ResourceName != a.Name ||
			resp.Resources[n-1].ResourcePatternType != kmsg.ACLResourcePatternType(a.Pattern) {
			resp.Resources = append(resp.Resources, kmsg.DescribeACLsResponseResource{ResourceType: kmsg.ACLResourceType(a.Kind),
				ResourceName: a.Name, ResourcePatternType: kmsg.ACLResourcePatternType(a.Pattern)})
			n++
		}
		resp.Resources[n-1].ACLs = append(resp.Resources[n-1].ACLs, kmsg.DescribeACLsResponseResourceACL{Principal: a.Principal, Host: a.Host,
			Operation: kmsg.ACLOperation(a.Operation), PermissionType: kmsg.ACLPermissionType(a.Permission)})
	}
	return resp, nil
}

// pattern is how a name is meant; version 0 knows literal ones only.
func pattern(version int16, p kmsg.ACLResourcePatternType) brokers.Pattern {
	if version == 0 {
		return brokers.PatternLiteral
	}
	return brokers.Pattern(p)
}

func securityDisabled() *brokers.Error {
	return refuse(brokers.SecurityDisabled, "No Authorizer is configured on the broker: start the server with --auth strict.")
}
