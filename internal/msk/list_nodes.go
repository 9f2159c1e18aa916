package msk

import (
	"context"
	"fmt"
	"time"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// ListNodes
//
// Lists the brokers of a cluster by id, with the hosts where clients reach them. All
// brokers are this process and share one log.
//
// Errors: NotFound; BadRequest for a cluster without brokers, and a token that is
// none.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-nodes.html
//
// Status: done
// Deviation: there are no controllers and no ZooKeeper among the nodes, and brokers have no network interfaces
func (d *Door) ListNodes(ctx context.Context, in *model.ListNodesInput) (*model.ListNodesOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	if r.Cluster.Serverless {
		return nil, invalid("clusterArn", "This operation cannot be performed on serverless clusters.")
	}
	ids := make([]int, r.Cluster.Brokers)
	for i := range ids {
		ids[i] = i + 1
	}
	page, token, err := pageOf(ids, in.NextToken, in.MaxResults, func(id int) string { return fmt.Sprintf("%04d", id) })
	if err != nil {
		return nil, err
	}
	p, at := provisioned(r), d.endpoints(ctx, r)
	out := &model.ListNodesOutput{NextToken: token, NodeInfoList: []model.NodeInfo{}}
	for _, id := range page {
		out.NodeInfoList = append(out.NodeInfoList, node(r, p, id, at))
	}
	return out, nil
}

func node(r *catalog.Resource, p *model.Provisioned, id int, at []clusters.Endpoint) model.NodeInfo {
	b := &model.BrokerNodeInfo{BrokerId: opt.Of(float64(id)), CurrentBrokerSoftwareInfo: p.CurrentBrokerSoftwareInfo, Endpoints: []string{}}
	if subnets := p.BrokerNodeGroupInfo.ClientSubnets; len(subnets) > 0 {
		b.ClientSubnet = opt.Of(subnets[(id-1)%len(subnets)])
	}
	for _, e := range at {
		if int(e.Broker) != id || len(b.Endpoints) > 0 && b.Endpoints[0] == e.Host {
			continue
		}
		b.Endpoints = append(b.Endpoints, e.Host)
		b.ClientVpcIpAddress = opt.Of(e.Host)
	}
	return model.NodeInfo{
		AddedToClusterTime: opt.Of(time.UnixMilli(r.Created).UTC().Format("2006-01-02T15:04:05.000Z")),
		BrokerNodeInfo:     b, InstanceType: p.BrokerNodeGroupInfo.InstanceType, NodeType: opt.Of(model.NodeTypeBroker),
		NodeARN: opt.Of(fmt.Sprintf("%s/%d", arnOf(r, "broker"), id)),
	}
}
