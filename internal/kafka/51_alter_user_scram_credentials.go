package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"thalweg/internal/brokers"
)

// AlterUserScramCredentials
//
// Sets and removes passwords of users for SCRAM-SHA-256 and SCRAM-SHA-512, durably.
// What is kept is salted, cannot be turned back into the password, and is sealed
// under the keystore. A user whose password goes is let in until its session is
// over.
//
// Errors: UNACCEPTABLE_CREDENTIAL outside of 4096 to 16384 iterations, and without
// a name, UNSUPPORTED_SASL_MECHANISM, RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE,
// CLUSTER_AUTHORIZATION_FAILED.
//
// Status: done
func (d *Door) alterUsers(r *request, in *kmsg.AlterUserSCRAMCredentialsRequest) (*kmsg.AlterUserSCRAMCredentialsResponse, error) {
	var list []brokers.ScramChange
	for _, c := range in.Deletions {
		list = append(list, brokers.ScramChange{Name: c.Name, Mechanism: brokers.ScramMechanism(c.Mechanism), Delete: true})
	}
	for _, c := range in.Upsertions {
		list = append(list, brokers.ScramChange{Name: c.Name, Mechanism: brokers.ScramMechanism(c.Mechanism),
			Iterations: c.Iterations, Salt: c.Salt, Salted: c.SaltedPassword})
	}
	refused := d.opts.Security.ChangeUsers(r.ctx(), list)
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	for _, name := range alteredUsers(in) {
		resp.Results = append(resp.Results, kmsg.AlterUserSCRAMCredentialsResponseResult{User: name,
			ErrorCode: code(refused[name]), ErrorMessage: message(refused[name])})
	}
	return resp, nil
}

// alteredUsers are the users that a request is about, each once.
func alteredUsers(in *kmsg.AlterUserSCRAMCredentialsRequest) []string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			out = append(out, name)
		}
		seen[name] = true
	}
	for _, c := range in.Deletions {
		add(c.Name)
	}
	for _, c := range in.Upsertions {
		add(c.Name)
	}
	return out
}
