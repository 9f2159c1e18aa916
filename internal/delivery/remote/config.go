package remote

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"thalweg/internal/arn"
	"thalweg/internal/errs"
)

// Cluster is where an Apache Kafka cluster is, and who may read it.
type Cluster struct {
	// ARN is what MSKSourceConfiguration names it by.
	ARN string `json:"arn"`
	// Accounts are those whose delivery streams may read every topic that the login may.
	Accounts []string `json:"accounts"`
	// Brokers are some to begin with, HOST:PORT.
	Brokers []string `json:"brokers"`
	TLS     bool     `json:"tls"`
	// CA is a PEM file of the authorities that signed the brokers' certificates; "" are
	// the system's. Authorities are what is in it.
	CA          string         `json:"ca"`
	Authorities *x509.CertPool `json:"-"`
	Login       Login          `json:"sasl"`
}

// Login is a user of a cluster; the zero Login is none.
type Login struct {
	// Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or AWS_MSK_IAM. The first three
	// have a user name and a password, the last an access key.
	Mechanism string `json:"mechanism"`
	Username  string `json:"username"`
	Password  string `json:"password"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	Token     string `json:"session_token"`
}

// Parse reads what an operator says of clusters: a JSON array of them. No text of the
// file is in an error, for there are passwords in it. Errors: Invalid.
func Parse(doc []byte) ([]Cluster, error) {
	var all []Cluster
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, errs.New(errs.Invalid, "the Kafka clusters are not a JSON array of objects with arn, accounts, brokers, tls, ca and sasl")
	}
	for i := range all {
		if err := all[i].check(); err != nil {
			return nil, errs.Wrap(errs.Invalid, fmt.Sprintf("Kafka cluster %d", i+1), err)
		}
	}
	return all, nil
}

func (c *Cluster) check() error {
	p, ok := arn.Parse(c.ARN)
	switch {
	case !ok || p.Service != "kafka" || !strings.HasPrefix(p.Resource, "cluster/"):
		return errs.New(errs.Invalid, "arn is not the ARN of a cluster, arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID")
	case len(c.Accounts) == 0:
		return errs.New(errs.Invalid, "accounts names nobody who may read it")
	case len(c.Brokers) == 0:
		return errs.New(errs.Invalid, "brokers are missing")
	case c.CA != "" && !c.TLS:
		return errs.New(errs.Invalid, "there is a ca but no tls")
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			return errs.New(errs.Invalid, "a broker is not HOST:PORT")
		}
	}
	if c.Login.Mechanism == "PLAIN" && !c.TLS {
		return errs.New(errs.Invalid, "PLAIN tells the password to whoever listens; set tls")
	}
	_, err := c.Login.mechanism()
	return err
}

func (l *Login) mechanism() (sasl.Mechanism, error) {
	user := l.Username != "" && l.Password != ""
	switch {
	case *l == Login{}:
		return nil, nil
	case l.Mechanism == "PLAIN" && user:
		return plain.Auth{User: l.Username, Pass: l.Password}.AsMechanism(), nil
	case l.Mechanism == "SCRAM-SHA-256" && user:
		return scram.Auth{User: l.Username, Pass: l.Password}.AsSha256Mechanism(), nil
	case l.Mechanism == "SCRAM-SHA-512" && user:
		return scram.Auth{User: l.Username, Pass: l.Password}.AsSha512Mechanism(), nil
	case l.Mechanism == "AWS_MSK_IAM" && l.AccessKey != "" && l.SecretKey != "":
		key := aws.Auth{AccessKey: l.AccessKey, SecretKey: l.SecretKey, SessionToken: l.Token, UserAgent: "thalweg"}
		return aws.ManagedStreamingIAM(func(context.Context) (aws.Auth, error) { return key, nil }), nil
	}
	return nil, errs.New(errs.Invalid, "sasl is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 with username and password, "+
		"nor AWS_MSK_IAM with access_key and secret_key")
}
