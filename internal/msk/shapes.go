package msk

import (
	"slices"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/catalog"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// versions are those of Kafka that a cluster can have, the oldest first: what
// clients are shown of the protocol.
func versions() []string {
	return []string{"3.5.1", "3.6.0", "3.7.x", "3.7.x.kraft", "3.8.x", "3.8.x.kraft", "3.9.x", "3.9.x.kraft", "4.0.x.kraft", "4.1.x.kraft"}
}

// defaultVersion is what the default cluster and those without brokers are said to
// have.
const defaultVersion = "4.1.x.kraft"

func checkVersion(v, member string) error {
	if slices.Contains(versions(), v) {
		return nil
	}
	text := "Unsupported KafkaVersion [" + v + "]. Valid values: ["
	for i, known := range versions() {
		if i > 0 {
			text += ", "
		}
		text += known
	}
	return invalid(member, text+"]")
}

// provisioned is what is kept of a cluster's shape, completed with what it is now.
func provisioned(r *catalog.Resource) *model.Provisioned {
	p := new(model.Provisioned)
	unshape(r.Cluster.Shape, p)
	if p.BrokerNodeGroupInfo == nil { // the default cluster
		p.BrokerNodeGroupInfo = &model.BrokerNodeGroupInfo{ClientSubnets: []string{}, InstanceType: opt.Of("thalweg")}
	}
	p.NumberOfBrokerNodes = opt.Of(int32(r.Cluster.Brokers))
	p.CurrentBrokerSoftwareInfo = software(r.Cluster)
	p.CustomerActionStatus = opt.Of(model.CustomerActionStatusNone)
	return p
}

func serverless(r *catalog.Resource) *model.Serverless {
	s := new(model.Serverless)
	unshape(r.Cluster.Shape, s)
	return s
}

func software(c *catalog.Cluster) *model.BrokerSoftwareInfo {
	v := c.KafkaVersion
	if v == "" {
		v = defaultVersion
	}
	s := &model.BrokerSoftwareInfo{KafkaVersion: opt.Of(v)}
	if c.Configuration != "" {
		s.ConfigurationArn, s.ConfigurationRevision = opt.Of(c.Configuration), opt.Of(c.ConfigurationRevision)
	}
	return s
}

func typeOf(r *catalog.Resource) model.ClusterType {
	if r.Cluster.Serverless {
		return model.ClusterTypeServerless
	}
	return model.ClusterTypeProvisioned
}

// state is a cluster's state, with why it has failed.
func (d *Door) state(r *catalog.Resource) (opt.V[model.ClusterState], *model.StateInfo) {
	state, why := d.clusters.State(r)
	if why == "" {
		return opt.Of(model.ClusterState(state)), nil
	}
	return opt.Of(model.ClusterState(state)), &model.StateInfo{Code: opt.Of("CannotListen"), Message: opt.Of(why)}
}

// activeOperation is the ARN of the operation that goes on.
func activeOperation(r *catalog.Resource) opt.V[string] {
	if n := len(r.Cluster.Operations); n > 0 && r.Cluster.Operations[n-1].Ended == 0 {
		return opt.Of(operationARN(r, r.Cluster.Operations[n-1].ID))
	}
	return opt.V[string]{}
}

// clusterV2 is a cluster of either type.
func (d *Door) clusterV2(r *catalog.Resource) model.Cluster {
	c := model.Cluster{
		ActiveOperationArn: activeOperation(r), ClusterArn: opt.Of(r.ARN), ClusterName: opt.Of(r.Name), ClusterType: opt.Of(typeOf(r)),
		CreationTime: millis(r.Created), CurrentVersion: opt.Of(clusters.Version(r)), Tags: tagsOf(r),
	}
	c.State, c.StateInfo = d.state(r)
	if r.Cluster.Serverless {
		c.Serverless = serverless(r)
	} else {
		c.Provisioned = provisioned(r)
	}
	return c
}

// clusterInfo is a cluster with brokers, in the older shape.
func (d *Door) clusterInfo(r *catalog.Resource) model.ClusterInfo {
	p := provisioned(r)
	c := model.ClusterInfo{
		ActiveOperationArn: activeOperation(r), BrokerNodeGroupInfo: p.BrokerNodeGroupInfo, ClientAuthentication: p.ClientAuthentication,
		ClusterArn: opt.Of(r.ARN), ClusterName: opt.Of(r.Name), CreationTime: millis(r.Created), CurrentBrokerSoftwareInfo: p.CurrentBrokerSoftwareInfo,
		CurrentVersion: opt.Of(clusters.Version(r)), CustomerActionStatus: p.CustomerActionStatus, EncryptionInfo: p.EncryptionInfo,
		EnhancedMonitoring: p.EnhancedMonitoring, LoggingInfo: p.LoggingInfo, NumberOfBrokerNodes: p.NumberOfBrokerNodes,
		OpenMonitoring: openMonitoring(p.OpenMonitoring), Rebalancing: p.Rebalancing, StorageMode: p.StorageMode, Tags: tagsOf(r),
	}
	c.State, c.StateInfo = d.state(r)
	return c
}

// openMonitoring is what was asked for, as it is told.
func openMonitoring(in *model.OpenMonitoringInfo) *model.OpenMonitoring {
	if in == nil || in.Prometheus == nil {
		return nil
	}
	out := &model.Prometheus{}
	if j := in.Prometheus.JmxExporter; j != nil {
		out.JmxExporter = &model.JmxExporter{EnabledInBroker: j.EnabledInBroker}
	}
	if n := in.Prometheus.NodeExporter; n != nil {
		out.NodeExporter = &model.NodeExporter{EnabledInBroker: n.EnabledInBroker}
	}
	return &model.OpenMonitoring{Prometheus: out}
}

func tagsOf(r *catalog.Resource) map[string]string {
	if r.Tags == nil {
		return map[string]string{}
	}
	return r.Tags
}
