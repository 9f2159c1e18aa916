package msk

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	"github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/twmb/franz-go/pkg/kgo"

	"thalweg/tests/harness"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

func (a *authority) file() string {
	name := filepath.Join(a.t.TempDir(), "clients.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return name
}

func (a *authority) issue(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: a.cert.NotBefore,
		NotAfter: a.cert.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestCertificates: a cluster that asks clients for certificates lets in those of
// --kafka-client-ca's authorities and nobody else; one that does not asks nobody.
func TestCertificates(t *testing.T) {
	clients := newAuthority(t)
	s := harness.ForTest(t, harness.Options{Args: []string{"--kafka-client-ca", clients.file(), "--listen-kafka", "SSL://127.0.0.1:0"}})
	u := at(t, s, "000000000000")
	create := func(name string, enabled bool) []string {
		out, err := u.CreateCluster(t.Context(), &kafka.CreateClusterInput{
			ClusterName: &name, KafkaVersion: aws.String("4.1.x.kraft"), NumberOfBrokerNodes: aws.Int32(1),
			BrokerNodeGroupInfo:  &types.BrokerNodeGroupInfo{ClientSubnets: []string{"subnet-1"}, InstanceType: aws.String("kafka.m7g.large")},
			ClientAuthentication: &types.ClientAuthentication{Tls: &types.Tls{Enabled: &enabled}},
		})
		u.must("create", err)
		u.await(*out.ClusterArn)
		boot, err := u.GetBootstrapBrokers(t.Context(), &kafka.GetBootstrapBrokersInput{ClusterArn: out.ClusterArn})
		u.must("get bootstrap brokers", err)
		return strings.Split(*boot.BootstrapBrokerStringTls, ",")
	}
	ca, err := os.ReadFile(filepath.Join(s.DataDir(), "ca.pem"))
	u.must("read the server's authority", err)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no authority")
	}
	try := func(brokers []string, shown ...tls.Certificate) error {
		cl := client(t, brokers, kgo.DialTLSConfig(&tls.Config{RootCAs: pool, Certificates: shown}), kgo.RequestRetries(0), kgo.RetryTimeout(0))
		return createTopic(t, cl, "t")
	}
	closed, open := create("closed", true), create("open", false)
	if err := try(closed, clients.issue("ada")); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	if err := try(closed, newAuthority(t).issue("eve")); err == nil {
		t.Error("a certificate of another authority was taken")
	}
	if err := try(closed); err == nil {
		t.Error("nobody was asked for a certificate")
	}
	if err := try(open); err != nil {
		t.Errorf("where none is asked for: %v", err)
	}
}
