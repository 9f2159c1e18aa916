package identity

import (
	"sync"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/identity/policy"
)

// Policies tells which policies are attached to resources.
type Policies interface {
	// Policy returns the text of the policy of a resource, "" if there is none. It
	// is asked at every request and answers from memory.
	Policy(resource arn.ARN) string
}

// maxRead bounds the texts of the policies that are kept as read, bytes: a policy
// takes a few times its text. Beyond it all are read anew.
const maxRead = 4 << 20

// policies are policies as read, by resource.
type policies struct {
	mu    sync.RWMutex
	read  map[string]readPolicy // guarded by mu
	bytes int                   // guarded by mu; of the texts
}

// readPolicy is a policy with the text that it was read from. One that cannot be
// read is nil: an earlier version took it, and what it meant is not known.
type readPolicy struct {
	text   string
	policy *policy.Policy
}

// ask returns what the policy of a resource, if it has one, says to a caller's
// action.
func (u *Authority) ask(c awsapi.Caller, action, resource string, name arn.ARN) policy.Effect {
	if u.cfg.Policies == nil {
		return policy.Silent
	}
	text := u.cfg.Policies.Policy(name)
	if text == "" {
		return policy.Silent
	}
	// Resources are found without their partition, so it is no way around a policy.
	if own := arn.PartitionOf(name.Region); name.Partition != own {
		name.Partition = own
		resource = name.String()
	}
	p := u.policies.get(resource, text)
	if p == nil {
		return policy.Deny
	}
	return p.Decide(&policy.Request{Principal: c.PrincipalARN, Account: c.Account, Action: action, Resource: resource,
		Region: c.Region, SourceIP: c.SourceIP, Secure: c.Secure, Time: u.cfg.Clock.Now()})
}

// get reads a policy, once for every text that a resource has had.
func (c *policies) get(resource, text string) *policy.Policy {
	c.mu.RLock()
	r, ok := c.read[resource]
	c.mu.RUnlock()
	if ok && r.text == text { // the same memory, as a rule: no bytes are compared
		return r.policy
	}
	p, err := policy.Parse(text)
	if err != nil {
		p = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes += len(text) - len(c.read[resource].text); c.bytes > maxRead || c.read == nil {
		c.read, c.bytes = map[string]readPolicy{}, len(text)
	}
	c.read[resource] = readPolicy{text: text, policy: p}
	return p
}
