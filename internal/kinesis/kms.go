package kinesis

import (
	"context"
	"strings"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	model "thalweg/internal/awsapi/model/kinesis"
	"thalweg/internal/catalog"
	"thalweg/internal/streams"
)

// There is no KMS here. A key id in any form that KMS knows, of the stream's own
// account and region, names a key of this server's keystore; an alias is a name of
// its own and stands for no other key. Of the aliases of AWS there is
// alias/aws/kinesis alone. What KMS would answer to the rest is answered in its
// words.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id

// keyOf reads a KeyId for a stream of that scope.
func keyOf(ctx context.Context, scope catalog.Scope, text string) (streams.EncryptionKey, error) {
	key := streams.EncryptionKey{Text: text}
	resource := text
	if strings.HasPrefix(text, "arn:") {
		a, ok := arn.Parse(text)
		if !ok || a.Service != "kms" || a.Partition != arn.PartitionOf(scope.Region) {
			return key, model.NewKMSNotFoundException("Invalid arn " + text)
		}
		if a.Region != scope.Region {
			return key, model.NewKMSNotFoundException("Invalid arn " + a.Region)
		}
		if a.Account != scope.Account {
			return key, model.NewKMSAccessDeniedException("User: " + awsapi.CallerFrom(ctx).PrincipalARN +
				" is not authorized to perform: kms:GenerateDataKey on resource: " + text +
				" because the resource does not exist in this Region, no resource-based policies allow access, " +
				"or a resource-based policy explicitly denies access")
		}
		resource = a.Resource
		if id, ok := strings.CutPrefix(resource, "key/"); ok {
			resource = id
		} else if !strings.HasPrefix(resource, "alias/") {
			return key, model.NewKMSNotFoundException("Invalid arn " + text)
		}
	}
	alias, isAlias := strings.CutPrefix(resource, "alias/")
	switch {
	case isAlias && !aliasForm(alias):
		return key, model.NewKMSNotFoundException("Invalid keyId '" + resource + "'")
	case isAlias && strings.HasPrefix(alias, "aws/") && alias != "aws/kinesis":
		return key, model.NewKMSNotFoundException("Alias " + arn.New("kms", scope.Region, scope.Account, resource).String() + " is not found.")
	case isAlias:
		key.Name = resource
	case keyIDForm(resource):
		key.Name = "key/" + strings.ToLower(resource)
	default:
		return key, model.NewKMSNotFoundException("Invalid keyId '" + resource + "'")
	}
	return key, nil
}

// aliasForm is the pattern of an alias behind "alias/" (API_CreateAlias of KMS).
func aliasForm(s string) bool {
	if s == "" || len(s) > 256-len("alias/") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("/_-", rune(c)) {
			return false
		}
	}
	return true
}

// keyIDForm tells a key id: a UUID, or mrk- and 32 hexadecimal digits of a key of
// several regions.
func keyIDForm(s string) bool {
	multi, isMulti := strings.CutPrefix(s, "mrk-")
	if isMulti {
		return len(multi) == 32 && isHex(multi)
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
