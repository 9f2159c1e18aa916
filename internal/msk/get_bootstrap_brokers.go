package msk

import (
	"context"
	"net"
	"strconv"

	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/clusters"
	"thalweg/internal/opt"
)

// GetBootstrapBrokers
//
// Tells where clients reach the brokers, as those tell it themselves: the host that
// is advertised (--advertise), else the one that is listened on, and the port of
// each broker. There is one list for each kind of client that the cluster lets in.
//
// Errors: NotFound; BadRequest while the cluster is not ACTIVE.
// https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-bootstrap-brokers.html
//
// Status: done
// Deviation: there are no lists for VPC connections, public access and IPv6; a listener with SASL and without TLS is in none
func (d *Door) GetBootstrapBrokers(_ context.Context, in *model.GetBootstrapBrokersInput) (*model.GetBootstrapBrokersOutput, error) {
	r, err := d.cluster(in.ClusterArn)
	if err != nil {
		return nil, err
	}
	at := d.clusters.Endpoints(r)
	if at == nil {
		return nil, model.NewBadRequestException("The cluster " + r.Name + " does not listen yet, or no more. Describe it for its state.")
	}
	return &model.GetBootstrapBrokersOutput{
		BootstrapBrokerString:          hosts(at, clusters.Plaintext),
		BootstrapBrokerStringTls:       hosts(at, clusters.TLS),
		BootstrapBrokerStringSaslScram: hosts(at, clusters.Scram),
		BootstrapBrokerStringSaslIam:   hosts(at, clusters.IAM),
	}, nil
}

// hosts are the brokers of one kind, as a client takes them.
func hosts(at []clusters.Endpoint, kind clusters.Kind) (out opt.V[string]) {
	for _, e := range at {
		if e.Kind != kind {
			continue
		}
		if out.Set {
			out.V += ","
		}
		out = opt.Of(out.V + net.JoinHostPort(e.Host, strconv.Itoa(e.Port)))
	}
	return out
}
