package firehose

import (
	"strings"

	"thalweg/internal/arn"
	model "thalweg/internal/awsapi/model/firehose"
	"thalweg/internal/catalog"
	"thalweg/internal/delivery"
)

// awsOwnedKey is the name of the key that stands for AWS's own.
const awsOwnedKey = "aws-owned/firehose"

// keyOf reads what a delivery stream is to be encrypted under. There is no KMS here: a
// key's ARN, of the delivery stream's account and region, names a key of this server's
// keystore.
func keyOf(scope catalog.Scope, in *model.DeliveryStreamEncryptionConfigurationInput) (*delivery.Key, error) {
	customers := in.KeyType.V == model.KeyTypeCustomerManagedCmk
	switch {
	case customers && !in.KeyARN.Set:
		return nil, model.NewInvalidArgumentException("KeyARN is required when KeyType is CUSTOMER_MANAGED_CMK.")
	case !customers && in.KeyARN.Set:
		return nil, model.NewInvalidArgumentException("KeyARN must not be specified when KeyType is AWS_OWNED_CMK.")
	case !customers:
		return &delivery.Key{Type: string(in.KeyType.V), Name: awsOwnedKey}, nil
	}
	text := in.KeyARN.V
	a, ok := arn.Parse(text)
	id, isKey := strings.CutPrefix(a.Resource, "key/")
	if !ok || a.Service != "kms" || !isKey || id == "" {
		return nil, noKey("Invalid arn "+text, "NotFoundException")
	}
	if a.Region != scope.Region || a.Account != scope.Account {
		return nil, noKey("The key "+text+" is not of the delivery stream's account and region.", "AccessDeniedException")
	}
	return &delivery.Key{Type: string(in.KeyType.V), ARN: text, Name: "key/" + strings.ToLower(id)}, nil
}

func noKey(msg, code string) error {
	return model.NewInvalidKMSResourceException(msg).With("code", code)
}
