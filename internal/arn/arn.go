// Package arn reads and writes Amazon Resource Names:
//
//	arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
//
// Format: docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html. The
// functions are pure.
package arn

import "strings"

// ARN is one name in its parts. Resource may hold colons and slashes.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Parse splits s. It reports false when s has fewer than six parts or does not
// begin with arn; empty region and account are legal in some services.
func Parse(s string) (ARN, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// New returns the name of a resource in the partition that region belongs to.
func New(service, region, account, resource string) ARN {
	return ARN{Partition: PartitionOf(region), Service: service, Region: region, Account: account, Resource: resource}
}

// PartitionOf is the AWS partition of a region: aws-cn and aws-us-gov for
// theirs, aws for every other, unknown ones included.
func PartitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}
