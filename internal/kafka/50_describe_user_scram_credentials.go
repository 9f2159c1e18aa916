package kafka

import (
	"cmp"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// DescribeUserScramCredentials
//
// Tells for users, those named or all, which mechanisms they have, with how many
// iterations. Nothing that could help to be taken for them is ever told.
//
// Errors: RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE for a user named twice,
// CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) describeUsers(_ *request, in *kmsg.DescribeUserSCRAMCredentialsRequest) (*kmsg.DescribeUserSCRAMCredentialsResponse, error) {
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	users := d.opts.Security.Users()
	var names []string
	times := map[string]int{}
	for _, u := range in.Users {
		if times[u.Name]++; times[u.Name] == 1 {
			names = append(names, u.Name)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(users))
	}
	for _, name := range names {
		out := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		out.User = name
		var err *brokers.Error
		switch {
		case times[name] > 1:
			err = refuse(brokers.DuplicateResource, "Cannot describe SCRAM credentials for the same user twice in a single request: "+name)
		case users[name] == nil:
			err = refuse(brokers.ResourceNotFound, "Attempt to describe a user credential that does not exist: "+name)
		default:
			for _, m := range slices.SortedFunc(maps.Keys(users[name]), cmp.Compare[brokers.ScramMechanism]) {
				out.CredentialInfos = append(out.CredentialInfos, kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{
					Mechanism: int8(m), Iterations: users[name][m]})
			}
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Results = append(resp.Results, out)
	}
	return resp, nil
}
