package delivery

import (
	"bytes"
	"encoding/json"
	"strings"

	"thalweg/internal/delivery/dest"
)

// A configuration is a JSON document that this package reads and writes in part
// only: what every kind has in common.

// common are the members that the engine itself goes by.
type common struct {
	BufferingHints struct {
		SizeInMBs         *int64
		IntervalInSeconds *int64
	}
	RetryOptions struct {
		DurationInSeconds *int64
	}
	S3BackupMode             string
	S3BackupDescription      json.RawMessage
	S3DestinationDescription json.RawMessage
	ProcessingConfiguration  struct {
		Enabled bool
	}
	DynamicPartitioningConfiguration struct {
		Enabled bool
	}
}

func readCommon(c dest.Config) (out common, err error) {
	err = json.Unmarshal(c, &out)
	return out, err
}

// withDefaults fills the members of an object that are not there, at every level; but a
// conversion that is there is enabled unless it says otherwise.
func withDefaults(c dest.Config, defaults string) (dest.Config, error) {
	if defaults == "" {
		return c, nil
	}
	return Merge(json.RawMessage(defaults), c, func(name string) bool { return name != "DataFormatConversionConfiguration" })
}

// bucketDefaults are those of a bucket within a configuration: for backups and errors.
const bucketDefaults = `{
	"BufferingHints": {"IntervalInSeconds": 300, "SizeInMBs": 5},
	"CloudWatchLoggingOptions": {"Enabled": false},
	"CompressionFormat": "UNCOMPRESSED",
	"EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"}
}`

// checkBuckets fills the defaults of a configuration's buckets in and checks them.
func (s *Service) checkBuckets(c dest.Config) (dest.Config, error) {
	m, ok, err := object(c)
	if err != nil || !ok {
		return c, err
	}
	for _, name := range []string{"S3DestinationDescription", "S3BackupDescription"} {
		if m[name] == nil {
			continue
		}
		if m[name], err = withDefaults(m[name], bucketDefaults); err != nil {
			return nil, err
		}
		if err := s.o.Destinations[s3Kind].Check(m[name]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(m)
}

// Merge returns the object old with the members of patch. A member that both have is
// merged likewise where deep wants it, by name, or where deep is nil; else patch's
// takes its place.
func Merge(old, patch json.RawMessage, deep func(name string) bool) (json.RawMessage, error) {
	a, ok, err := object(old)
	if err != nil {
		return nil, err
	}
	b, also, err := object(patch)
	if err != nil {
		return nil, err
	}
	if !ok || !also {
		return patch, nil
	}
	for name, v := range b {
		if was, there := a[name]; there && (deep == nil || deep(name)) {
			if v, err = Merge(was, v, deep); err != nil {
				return nil, err
			}
		}
		a[name] = v
	}
	return json.Marshal(a)
}

// object reads a JSON object's members; ok is false for any other value.
func object(doc json.RawMessage) (m map[string]json.RawMessage, ok bool, err error) {
	if !bytes.HasPrefix(bytes.TrimSpace(doc), []byte("{")) {
		return nil, false, nil
	}
	err = json.Unmarshal(doc, &m)
	return m, err == nil, err
}

// sealSecrets seals the members that spec names, for the delivery stream arn.
func (s *Service) sealSecrets(arn string, spec dest.Spec, c dest.Config) dest.Config {
	for _, path := range spec.Secrets {
		c = s.sealAt(arn, c, strings.Split(path, "."))
	}
	return c
}

func (s *Service) sealAt(arn string, doc json.RawMessage, path []string) json.RawMessage {
	m, ok, err := object(doc)
	v, there := m[path[0]]
	if !ok || err != nil || !there {
		return doc
	}
	var text string
	switch {
	case len(path) > 1:
		m[path[0]] = s.sealAt(arn, v, path[1:])
	case json.Unmarshal(v, &text) == nil:
		m[path[0]], _ = json.Marshal(s.seal.close(arn, text)) // a string has a JSON form
	}
	out, err := json.Marshal(m)
	if err != nil {
		return doc
	}
	return out
}
