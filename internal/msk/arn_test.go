package msk

import (
	"strings"
	"testing"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
	"thalweg/internal/opt"
)

// TestARNsAreWhole: only the ARN that a cluster's policy is found by names it. A
// policy that denies something by it would else not be asked.
func TestARNsAreWhole(t *testing.T) {
	s := newServer(t)
	d := New(s.clusters, s.delivery)
	r, err := s.clusters.Lookup(catalog.Scope{Account: "000000000000", Region: "us-east-1"}, brokers.DefaultName, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.DescribeCluster(t.Context(), &model.DescribeClusterInput{ClusterArn: opt.Of(r.ARN)}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		strings.TrimSuffix(r.ARN, "-1"), r.ARN[:strings.LastIndex(r.ARN, "/")+1], r.ARN + "/", r.ARN + "/x", strings.Replace(r.ARN, "arn:aws:", "arn:aws-cn:", 1),
	} {
		if _, err := d.DescribeCluster(t.Context(), &model.DescribeClusterInput{ClusterArn: opt.Of(text)}); err == nil {
			t.Errorf("%s is described", text)
		}
		if _, err := d.ListTagsForResource(t.Context(), &model.ListTagsForResourceInput{ResourceArn: opt.Of(text)}); err == nil {
			t.Errorf("%s has tags", text)
		}
	}
	for _, account := range []string{"000000000000", "111111111111"} {
		err := s.clusters.Associate(t.Context(), r, "arn:aws:secretsmanager:us-east-1:"+account+":secret:AmazonMSK_alice")
		if (errs.KindOf(err) == errs.Invalid) != (account != r.Scope.Account) {
			t.Errorf("a secret of the account %s: %v", account, err)
		}
	}
}
