package msk

import (
	model "thalweg/internal/awsapi/model/kafka"
	"thalweg/internal/clusters"
)

// kindsOf are the listeners of a cluster that lets clients in by auth, with enc
// between, as Amazon MSK has them: nobody proves anything where nothing else is
// said, and what is between is encrypted.
func kindsOf(auth *model.ClientAuthentication, enc *model.EncryptionInfo) ([]clusters.Kind, error) {
	between := model.ClientBrokerTls
	if enc != nil && enc.EncryptionInTransit != nil {
		between = enc.EncryptionInTransit.ClientBroker.Or(between)
	}
	var scram, iam, certificates bool
	open := true
	if auth != nil {
		certificates = auth.Tls != nil && auth.Tls.Enabled.Or(len(auth.Tls.CertificateAuthorityArnList) > 0)
		if s := auth.Sasl; s != nil {
			scram = s.Scram != nil && s.Scram.Enabled.V
			iam = s.Iam != nil && s.Iam.Enabled.V
		}
		open = !scram && !iam && !certificates
		if auth.Unauthenticated != nil && auth.Unauthenticated.Enabled.Set {
			open = auth.Unauthenticated.Enabled.V
		}
	}
	switch {
	case (scram || iam || certificates) && between == model.ClientBrokerPlaintext:
		return nil, invalid("encryptionInfo", "Authentication needs encryption in transit: ClientBroker must be TLS or TLS_PLAINTEXT.")
	case certificates && open:
		return nil, invalid("clientAuthentication", "Either certificates of clients (tls) or unauthenticated access can be enabled here, not both.")
	}
	var out []clusters.Kind
	if open && between != model.ClientBrokerTls {
		out = append(out, clusters.Plaintext)
	}
	if open && between != model.ClientBrokerPlaintext {
		out = append(out, clusters.TLS)
	}
	if certificates {
		out = append(out, clusters.MutualTLS)
	}
	if scram {
		out = append(out, clusters.Scram)
	}
	if iam {
		out = append(out, clusters.IAM)
	}
	if len(out) == 0 {
		return nil, invalid("clientAuthentication", "At least one way to authenticate, or unauthenticated access, must be enabled.")
	}
	return out, nil
}
