package clusters

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"slices"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/brokers"
	"thalweg/internal/catalog"
	"thalweg/internal/errs"
)

// Secret is what a secret holds.
type Secret struct{ Username, Password string }

// Secrets finds secrets by their names.
type Secrets interface {
	// Secret returns an account's secret of that name. Errors: NotFound; Invalid for
	// one that is not of a user.
	Secret(account, name string) (Secret, error)
}

// Bounds on the users that are made of secrets.
const (
	maxSecrets = 1000
	iterations = 4096
	saltBytes  = 16
)

// Associate makes a user of a secret: its name and password can be used from then
// on, as they are now. A user of that name gets the password of the secret. Errors:
// NotFound, Invalid, those of the log.
func (s *Service) Associate(ctx context.Context, r *catalog.Resource, secretARN string) error {
	secret, err := s.secret(r.Scope, secretARN)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(r.Cluster.Secrets, func(c catalog.ClusterSecret) bool { return c.ARN != secretARN && c.User == secret.Username }) {
		return errs.New(errs.Invalid, "Another secret of the cluster is of the user "+secret.Username+".")
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha512.New, secret.Password, salt, iterations, sha512.Size)
	if err != nil {
		return errs.Wrap(errs.Invalid, "salt a password", err)
	}
	err = s.changeUser(ctx, r, brokers.ScramChange{Name: secret.Username, Mechanism: brokers.ScramSHA512, Iterations: iterations, Salt: salt, Salted: salted})
	if err != nil {
		return err
	}
	return s.change(ctx, r, func(_ *catalog.Tx, r *catalog.Resource) error {
		have := slices.DeleteFunc(r.Cluster.Secrets, func(c catalog.ClusterSecret) bool { return c.ARN == secretARN })
		if len(have) >= maxSecrets {
			return errs.New(errs.LimitExceeded, "A cluster can have 1000 secrets at most.")
		}
		r.Cluster.Secrets = append(have, catalog.ClusterSecret{ARN: secretARN, User: secret.Username})
		return nil
	})
}

// Disassociate forgets the user that was made of a secret. Errors: NotFound, those
// of the log.
func (s *Service) Disassociate(ctx context.Context, r *catalog.Resource, secretARN string) error {
	i := slices.IndexFunc(r.Cluster.Secrets, func(c catalog.ClusterSecret) bool { return c.ARN == secretARN })
	if i < 0 {
		return errs.New(errs.NotFound, "The secret is not associated with the cluster.")
	}
	err := s.changeUser(ctx, r, brokers.ScramChange{Name: r.Cluster.Secrets[i].User, Mechanism: brokers.ScramSHA512, Delete: true})
	if err != nil && errs.KindOf(err) != errs.NotFound {
		return err
	}
	return s.change(ctx, r, func(_ *catalog.Tx, r *catalog.Resource) error {
		r.Cluster.Secrets = slices.DeleteFunc(r.Cluster.Secrets, func(c catalog.ClusterSecret) bool { return c.ARN == secretARN })
		return nil
	})
}

// changeUser changes a user of a cluster that runs.
func (s *Service) changeUser(ctx context.Context, r *catalog.Resource, c brokers.ScramChange) error {
	s.mu.Lock()
	l := s.live[r.Key]
	s.mu.Unlock()
	if l == nil {
		return notActive(r)
	}
	err := l.security.ChangeUsers(ctx, []brokers.ScramChange{c})[c.Name]
	switch {
	case err == nil:
		return nil
	case err.Code == brokers.ResourceNotFound:
		return errs.New(errs.NotFound, err.Msg)
	case err.Err != nil:
		return err.Err
	}
	return errs.New(errs.Invalid, err.Msg)
}

// secret finds a secret by its ARN, as AWS Secrets Manager writes it:
// arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-xxxxxx. The six letters at the
// end need not be there. It is of the account and region of the cluster.
func (s *Service) secret(of catalog.Scope, text string) (Secret, error) {
	p, ok := arn.Parse(text)
	name, isSecret := strings.CutPrefix(p.Resource, "secret:")
	switch {
	case !ok || p.Service != "secretsmanager" || !isSecret:
		return Secret{}, errs.New(errs.Invalid, "The secret ARN is not valid.")
	case p.Account != of.Account || p.Region != of.Region:
		return Secret{}, errs.New(errs.Invalid, "The secret is not of the account and region of the cluster.")
	case !strings.HasPrefix(name, "AmazonMSK_"):
		return Secret{}, errs.New(errs.Invalid, "The name of a secret for a cluster begins with AmazonMSK_.")
	case strings.ContainsAny(name, `/\`):
		return Secret{}, errs.New(errs.Invalid, "The name of the secret has a character that is not supported here.")
	}
	secret, err := s.o.Secrets.Secret(of.Account, name)
	if n := len(name) - len("-xxxxxx"); errs.KindOf(err) == errs.NotFound && err != nil && n > 0 && name[n] == '-' {
		secret, err = s.o.Secrets.Secret(of.Account, name[:n])
	}
	if err == nil && (secret.Username == "" || secret.Password == "") {
		err = errs.New(errs.Invalid, `The secret is not of the form {"username": "...", "password": "..."}.`)
	}
	return secret, err
}
