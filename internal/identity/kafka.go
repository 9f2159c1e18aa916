package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"

	"thalweg/internal/awsapi"
	"thalweg/internal/sigv4"
)

// kafkaService is the signing name of Amazon MSK's data plane, and the prefix of
// its actions.
const kafkaService = "kafka-cluster"

// maxKafkaExpires is the longest that a signature of a Kafka client may hold, as
// AWS's client libraries ask for.
const maxKafkaExpires = 15 * time.Minute

// VerifySecret returns the enabled key whose secret that is. An unknown key costs
// what a known one costs.
func (u *Authority) VerifySecret(id, secret string) (Key, bool) {
	want, _, known := u.cfg.Keys.Secret(id)
	got, need := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(want.Reveal()))
	same := subtle.ConstantTimeCompare(got[:], need[:]) == 1
	key, there := u.cfg.Keys.Get(id)
	return key, same && known && there
}

// VerifyKafka returns the enabled key that signed a connection to host: query is
// that of a presigned GET of https://HOST/ in the cluster's region, with the action
// kafka-cluster:Connect. It also returns for how long the signature holds.
// Signatures are verified in either mode: who asks for them wants them held.
func (u *Authority) VerifyKafka(region, host, query string) (Key, time.Duration, bool) {
	r := &http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Scheme: "https", Host: host, Path: "/", RawQuery: query}}
	actions := 0
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "Action" && (value == kafkaService+":Connect" || value == kafkaService+"%3AConnect") {
			actions++
		} else if !strings.HasPrefix(name, "X-Amz-") {
			return Key{}, 0, false // nothing else is to be said
		}
	}
	a, err := sigv4.Parse(r)
	if err != nil || actions != 1 || a.SignedHeaders != "host" {
		return Key{}, 0, false
	}
	signed, lifetime := a.Window()
	if lifetime <= 0 || lifetime > maxKafkaExpires {
		return Key{}, 0, false
	}
	if err := u.verifier.Verify(r, &a, nil, &sigv4.Rules{Service: kafkaService, Region: region}); err != nil {
		return Key{}, 0, false
	}
	key, ok := u.cfg.Keys.Get(a.AccessKeyID)
	if !ok || key.State != Enabled || a.Token != "" {
		return Key{}, 0, false
	}
	return key, signed.Add(lifetime).Sub(u.cfg.Clock.Now()), true
}

// Enabled tells whether a key is still accepted.
func (u *Authority) Enabled(id string) bool {
	key, ok := u.cfg.Keys.Get(id)
	return ok && key.State == Enabled
}

// MayKafka tells whether a key may do an action of kafka-cluster, as "Connect", to
// a resource, an ARN.
func (u *Authority) MayKafka(k Key, action, resource string) bool {
	c := awsapi.Caller{Account: k.Account, Region: u.cfg.Region, AccessKeyID: k.ID, PrincipalARN: k.PrincipalARN}
	return u.Authorize(c, kafkaService+":"+action, resource) == nil
}
