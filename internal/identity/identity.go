// Package identity says who makes a request and what they may do: accounts,
// access keys, principals, and the decision.
//
// [Authority] is the one place that answers both questions for every AWS
// request, and its answer is no unless a rule says yes. In [Open] mode a
// request must carry credentials in the right shape, but they are not checked;
// in [Strict] mode they are verified. A key that is disabled or deleted is
// refused from the next request on.
//
// [Keys] is the set of access keys, an event log's state; [Keystore] holds the
// root key under which their secrets, and whatever else must not be read or
// forged, are sealed. Nothing here prints or logs a secret: [Secret] cannot.
//
// The decision: a principal may do everything in its own account unless a
// resource policy there denies it, and in another account only what a resource
// policy allows (package policy). It is the same in both modes.
//
// What it does not do yet: policies of users, roles and session tokens.
package identity

import (
	"net/http"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/clock"
	"thalweg/internal/identity/policy"
	"thalweg/internal/sigv4"
)

// Secret is a secret access key; every way of printing it gives "[redacted]".
type Secret = sigv4.Secret

// Mode says whether credentials are checked.
type Mode uint8

const (
	// Strict verifies every signature. It is the zero Mode.
	Strict Mode = iota
	// Open accepts any credentials. It is for servers that only this machine
	// reaches.
	Open
)

// Config is what an [Authority] is made of. Every field is needed.
type Config struct {
	Mode  Mode
	Clock clock.Clock
	Keys  *Keys
	// Account is that of an open request whose credentials name none: 12 digits.
	Account string
	// Region is that of an open request whose credentials name none.
	Region string
	// Policies are those of resources.
	Policies Policies
}

// Authority authenticates and authorises AWS requests. It is safe for
// concurrent use.
type Authority struct {
	cfg      Config
	verifier *sigv4.Verifier
	policies policies
}

var _ awsapi.Auth = (*Authority)(nil)

// New returns an Authority.
func New(cfg Config) *Authority {
	return &Authority{cfg: cfg, verifier: sigv4.NewVerifier(cfg.Clock, cfg.Keys)}
}

// Authenticate says who makes the request, whose whole body is given. service is
// the signing name of the service that the request goes to. It fills Account,
// Region, AccessKeyID and PrincipalARN.
func (u *Authority) Authenticate(r *http.Request, service string, body []byte) (awsapi.Caller, *awsapi.Error) {
	a, err := sigv4.Parse(r)
	if err != nil {
		return awsapi.Caller{}, wireError(err, service)
	}
	if u.cfg.Mode == Open {
		c, err := u.believe(r, &a)
		return c, wireErrorOf(err, service)
	}
	if err := u.verifier.Verify(r, &a, body, &sigv4.Rules{Service: service}); err != nil {
		return awsapi.Caller{}, wireError(err, service)
	}
	c, err := u.proven(r, &a)
	return c, wireErrorOf(err, service)
}

// AuthenticateStream is Authenticate for requests to Amazon S3, whose bodies are
// still to be read: through the payload, which proves them. Its errors are not yet
// those of the service.
func (u *Authority) AuthenticateStream(r *http.Request) (awsapi.Caller, sigv4.Payload, *sigv4.Error) {
	a, err := sigv4.Parse(r)
	if err != nil {
		return awsapi.Caller{}, sigv4.Payload{}, err
	}
	p, ok := sigv4.ParsePayload(r, &a)
	if !ok {
		return awsapi.Caller{}, p, &sigv4.Error{Code: sigv4.InvalidPayload, Message: "x-amz-content-sha256 states no known form of payload"}
	}
	if u.cfg.Mode == Open {
		c, err := u.believe(r, &a)
		return c, p, err
	}
	if err := u.verifier.VerifyHead(r, &a, &p, &sigv4.Rules{Service: "s3", S3Path: true}); err != nil {
		return awsapi.Caller{}, p, err
	}
	c, err := u.proven(r, &a)
	return c, p, err
}

// Anonymous returns the caller of a request without credentials, for services whose
// clients need none: in open mode the configured account, in strict mode nobody.
func (u *Authority) Anonymous() (awsapi.Caller, bool) {
	if u.cfg.Mode != Open {
		return awsapi.Caller{}, false
	}
	return awsapi.Caller{Account: u.cfg.Account, Region: u.cfg.Region, PrincipalARN: PrincipalARN(u.cfg.Account, Root)}, true
}

// proven returns the caller of a request whose signature is right.
func (u *Authority) proven(r *http.Request, a *sigv4.Auth) (awsapi.Caller, *sigv4.Error) {
	// Tokens belong to temporary credentials, which nothing here hands out.
	key, ok := u.cfg.Keys.Get(a.AccessKeyID)
	if !ok || key.State != Enabled || a.Token != "" {
		return awsapi.Caller{}, sigv4.Unrecognized()
	}
	if !validRegion(a.Region) {
		return awsapi.Caller{}, badRegion(a.Region)
	}
	if account := hostAccount(r.Host); account != "" && account != key.Account {
		return awsapi.Caller{}, &sigv4.Error{Code: sigv4.AccessDenied,
			Message: "The account in the host name, " + account + ", is not the account of the credentials."}
	}
	return awsapi.Caller{Account: key.Account, Region: a.Region, AccessKeyID: key.ID, PrincipalARN: key.PrincipalARN}, nil
}

// believe takes the credentials of an open request at their word: an access key
// of 12 digits is the account, a known key has its own, the host name may tell
// it, and else there is the configured one.
func (u *Authority) believe(r *http.Request, a *sigv4.Auth) (awsapi.Caller, *sigv4.Error) {
	c := awsapi.Caller{Account: u.cfg.Account, Region: u.cfg.Region, AccessKeyID: a.AccessKeyID}
	if a.Region != "" {
		if !validRegion(a.Region) {
			return awsapi.Caller{}, badRegion(a.Region)
		}
		c.Region = a.Region
	}
	if IsAccount(a.AccessKeyID) {
		c.Account = a.AccessKeyID
	} else if key, ok := u.cfg.Keys.Get(a.AccessKeyID); ok {
		c.Account, c.PrincipalARN = key.Account, key.PrincipalARN
	} else if account := hostAccount(r.Host); account != "" {
		c.Account = account
	}
	if c.PrincipalARN == "" {
		c.PrincipalARN = PrincipalARN(c.Account, Root)
	}
	return c, nil
}

// Authorize says whether the caller may do the action ("kinesis:PutRecord") to
// the resource, an ARN or "*" where the request names none.
func (u *Authority) Authorize(c awsapi.Caller, action, resource string) *awsapi.Error {
	name, named := arn.Parse(resource)
	says, owner := policy.Silent, ""
	switch {
	case named:
		says, owner = u.ask(c, action, resource, name), name.Account
	case resource == "*": // what a request without a resource reaches
		owner = c.Account
	}
	if decide(c, action, owner, says) {
		return nil
	}
	return denied(c, action, resource, says)
}

// AuthorizeOwned is Authorize for a resource whose ARN does not name its owner, the
// account that is given, and that has no policy: a bucket, or what is in one.
func (u *Authority) AuthorizeOwned(c awsapi.Caller, action, resource, owner string) *awsapi.Error {
	if decide(c, action, owner, policy.Silent) {
		return nil
	}
	return denied(c, action, resource, policy.Silent)
}

func denied(c awsapi.Caller, action, resource string, says policy.Effect) *awsapi.Error {
	why := " because no resource-based policy allows the " + action + " action"
	if says == policy.Deny {
		why = " with an explicit deny in a resource-based policy"
	}
	service, _, _ := strings.Cut(action, ":")
	return wireError(&sigv4.Error{Code: sigv4.AccessDenied, Message: "User: " + c.PrincipalARN +
		" is not authorized to perform: " + action + " on resource: " + resource + why}, service)
}

// decide reports whether a caller may do an action to a resource of an account,
// "" for one that cannot be told, whose policy says what it says.
//
// The policies themselves are the owner's alone, and its root user's whatever
// they say: who locks everybody out can still take the lock off.
func decide(c awsapi.Caller, action, owner string, says policy.Effect) bool {
	if c.PrincipalARN == "" || !IsAccount(c.Account) || action == "" || owner == "" {
		return false
	}
	ofPolicies := strings.HasSuffix(action, "ResourcePolicy") || strings.HasSuffix(action, "ClusterPolicy")
	switch {
	case c.Account != owner:
		return says == policy.Allow && !ofPolicies
	case ofPolicies && c.PrincipalARN == PrincipalARN(owner, Root):
		return true
	}
	return says != policy.Deny
}

// Root is the user name that stands for an account's root user.
const Root = "root"

// PrincipalARN returns the ARN of a user, or of the root user, of an account.
func PrincipalARN(account, user string) string {
	if user == Root {
		return "arn:aws:iam::" + account + ":root"
	}
	return "arn:aws:iam::" + account + ":user/" + user
}

// IsAccount reports whether s is an account id: 12 digits.
func IsAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// validRegion keeps what ends up in names and ARNs to the letters of a region:
// a to z, 0 to 9 and inner hyphens, at most 32.
func validRegion(s string) bool {
	if s == "" || len(s) > 32 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func badRegion(region string) *sigv4.Error {
	return &sigv4.Error{Code: sigv4.InvalidSignature, Message: "Credential should be scoped to a valid region, not '" + region + "'. "}
}

// hostAccount returns the account in a host name of the form
// ACCOUNT.data-kinesis.REGION.amazonaws.com, or "".
func hostAccount(host string) string {
	label, rest, _ := strings.Cut(host, ".")
	if rest != "" && IsAccount(label) {
		return label
	}
	return ""
}

// wireErrorOf is wireError for an error that may be none.
func wireErrorOf(e *sigv4.Error, service string) *awsapi.Error {
	if e == nil {
		return nil
	}
	return wireError(e, service)
}

// wireError gives a refusal the status that AWS uses: 403 in the REST services
// and in STS, which has other names too; 400 in those that name the operation in a
// header.
func wireError(e *sigv4.Error, service string) *awsapi.Error {
	status := http.StatusBadRequest
	switch service {
	case "sts":
		return awsapi.NewError(e.Code.QueryName(), e.Message, http.StatusForbidden)
	case "kafka", "kafka-cluster", "kafkaconnect", "kinesisvideo":
		status = http.StatusForbidden
	}
	return awsapi.NewError(e.Code.JSONName(), e.Message, status)
}
