package firehose

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"thalweg/tests/harness"
)

var (
	role    = aws.String("arn:aws:iam::000000000000:role/firehose")
	logging = &types.CloudWatchLoggingOptions{Enabled: aws.Bool(true), LogGroupName: aws.String("group"), LogStreamName: aws.String("stream")}
	none    = &types.EncryptionConfiguration{NoEncryptionConfig: types.NoEncryptionConfigNoEncryption}
)

// within is the bucket within another configuration, every member said.
func within(prefix string) *types.S3DestinationConfiguration {
	return &types.S3DestinationConfiguration{
		BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: role, Prefix: &prefix, ErrorOutputPrefix: aws.String("errors/"),
		BufferingHints:    &types.BufferingHints{SizeInMBs: aws.Int32(7), IntervalInSeconds: aws.Int32(400)},
		CompressionFormat: types.CompressionFormatGzip, EncryptionConfiguration: none, CloudWatchLoggingOptions: logging,
	}
}

// described are the names by which a description calls members.
var described = map[string]string{
	"S3Configuration": "S3DestinationDescription", "S3BackupConfiguration": "S3BackupDescription", "VpcConfiguration": "VpcConfigurationDescription",
}

// TestRoundTrip makes a delivery stream of every kind as Terraform's AWS provider does,
// with its calls in its order, of a server that is strict about signatures. The provider
// says nearly every member and wants it back as it was. Other accounts know nothing of it.
func TestRoundTrip(t *testing.T) {
	var guest harness.Key
	s := suiteAs(t, func(server *harness.Server) (key harness.Key) {
		var err error
		if guest, err = server.CreateKey(t.Context(), "111111111111"); err == nil {
			key, err = server.CreateKey(t.Context(), "000000000000")
		}
		if err != nil {
			t.Fatal(err)
		}
		return key
	}, "--auth", "strict")
	kinds := map[string]func(*firehose.CreateDeliveryStreamInput){
		"ExtendedS3": func(in *firehose.CreateDeliveryStreamInput) {
			in.ExtendedS3DestinationConfiguration = &types.ExtendedS3DestinationConfiguration{
				BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: role, Prefix: aws.String("data/"), ErrorOutputPrefix: aws.String("failed/"),
				BufferingHints:    &types.BufferingHints{SizeInMBs: aws.Int32(10), IntervalInSeconds: aws.Int32(400)},
				CompressionFormat: types.CompressionFormatZip, EncryptionConfiguration: none, CloudWatchLoggingOptions: logging,
				CustomTimeZone: aws.String("Europe/Berlin"), FileExtension: aws.String(".json.zip"),
				ProcessingConfiguration: &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{{
					Type: types.ProcessorTypeAppendDelimiterToRecord, Parameters: []types.ProcessorParameter{},
				}}},
				S3BackupMode: types.S3BackupModeEnabled, S3BackupConfiguration: within("backup/"),
			}
		},
		"HttpEndpoint": func(in *firehose.CreateDeliveryStreamInput) {
			in.HttpEndpointDestinationConfiguration = &types.HttpEndpointDestinationConfiguration{
				EndpointConfiguration: &types.HttpEndpointConfiguration{Url: aws.String("https://example.com/in"), Name: aws.String("name"), AccessKey: aws.String("secret")},
				BufferingHints:        &types.HttpEndpointBufferingHints{SizeInMBs: aws.Int32(15), IntervalInSeconds: aws.Int32(600)},
				RequestConfiguration: &types.HttpEndpointRequestConfiguration{ContentEncoding: types.ContentEncodingGzip,
					CommonAttributes: []types.HttpEndpointCommonAttribute{{AttributeName: aws.String("a"), AttributeValue: aws.String("1")}}},
				RetryOptions: &types.HttpEndpointRetryOptions{DurationInSeconds: aws.Int32(60)}, RoleARN: role,
				S3BackupMode: types.HttpEndpointS3BackupModeFailedDataOnly, S3Configuration: within("http/"), CloudWatchLoggingOptions: logging,
			}
		},
		"Redshift": func(in *firehose.CreateDeliveryStreamInput) {
			in.RedshiftDestinationConfiguration = &types.RedshiftDestinationConfiguration{
				ClusterJDBCURL: aws.String("jdbc:postgresql://127.0.0.1:5432/db"), Username: aws.String("user"), Password: aws.String("Password1"),
				CopyCommand:  &types.CopyCommand{DataTableName: aws.String("t"), CopyOptions: aws.String("json 'auto'"), DataTableColumns: aws.String("a,b")},
				RetryOptions: &types.RedshiftRetryOptions{DurationInSeconds: aws.Int32(30)}, RoleARN: role,
				S3BackupMode: types.RedshiftS3BackupModeDisabled, S3Configuration: within("redshift/"), CloudWatchLoggingOptions: logging,
			}
		},
		"Amazonopensearchservice": func(in *firehose.CreateDeliveryStreamInput) {
			in.AmazonopensearchserviceDestinationConfiguration = &types.AmazonopensearchserviceDestinationConfiguration{
				ClusterEndpoint: aws.String("https://example.com"), IndexName: aws.String("events"), RoleARN: role,
				BufferingHints:      &types.AmazonopensearchserviceBufferingHints{SizeInMBs: aws.Int32(10), IntervalInSeconds: aws.Int32(100)},
				IndexRotationPeriod: types.AmazonopensearchserviceIndexRotationPeriodOneWeek,
				DocumentIdOptions:   &types.DocumentIdOptions{DefaultDocumentIdFormat: types.DefaultDocumentIdFormatNoDocumentId},
				RetryOptions:        &types.AmazonopensearchserviceRetryOptions{DurationInSeconds: aws.Int32(200)},
				S3BackupMode:        types.AmazonopensearchserviceS3BackupModeAllDocuments, S3Configuration: within("search/"), CloudWatchLoggingOptions: logging,
			}
		},
		"Iceberg": func(in *firehose.CreateDeliveryStreamInput) {
			in.IcebergDestinationConfiguration = &types.IcebergDestinationConfiguration{
				RoleARN: role, CatalogConfiguration: &types.CatalogConfiguration{CatalogARN: aws.String("arn:aws:glue:us-east-1:000000000000:catalog")},
				BufferingHints: &types.BufferingHints{SizeInMBs: aws.Int32(10), IntervalInSeconds: aws.Int32(400)}, AppendOnly: aws.Bool(true),
				DestinationTableConfigurationList: []types.DestinationTableConfiguration{{DestinationDatabaseName: aws.String("game"), DestinationTableName: aws.String("events")}},
				RetryOptions:                      &types.RetryOptions{DurationInSeconds: aws.Int32(100)}, S3BackupMode: types.IcebergS3BackupModeFailedDataOnly,
				S3Configuration: within("iceberg/"), CloudWatchLoggingOptions: logging,
			}
		},
		"Elasticsearch": func(in *firehose.CreateDeliveryStreamInput) {
			in.ElasticsearchDestinationConfiguration = &types.ElasticsearchDestinationConfiguration{
				ClusterEndpoint: aws.String("https://example.com"), IndexName: aws.String("events"), RoleARN: role,
				BufferingHints:      &types.ElasticsearchBufferingHints{SizeInMBs: aws.Int32(10), IntervalInSeconds: aws.Int32(100)},
				IndexRotationPeriod: types.ElasticsearchIndexRotationPeriodOneHour, RetryOptions: &types.ElasticsearchRetryOptions{DurationInSeconds: aws.Int32(200)},
				S3BackupMode: types.ElasticsearchS3BackupModeFailedDocumentsOnly, S3Configuration: within("elastic/"), CloudWatchLoggingOptions: logging,
			}
		},
		"AmazonOpenSearchServerless": func(in *firehose.CreateDeliveryStreamInput) {
			in.AmazonOpenSearchServerlessDestinationConfiguration = &types.AmazonOpenSearchServerlessDestinationConfiguration{
				CollectionEndpoint: aws.String("https://example.com"), IndexName: aws.String("events"), RoleARN: role,
				BufferingHints: &types.AmazonOpenSearchServerlessBufferingHints{SizeInMBs: aws.Int32(10), IntervalInSeconds: aws.Int32(100)},
				RetryOptions:   &types.AmazonOpenSearchServerlessRetryOptions{DurationInSeconds: aws.Int32(200)},
				S3BackupMode:   types.AmazonOpenSearchServerlessS3BackupModeFailedDocumentsOnly, S3Configuration: within("collection/"), CloudWatchLoggingOptions: logging,
			}
		},
		"Splunk": func(in *firehose.CreateDeliveryStreamInput) {
			in.SplunkDestinationConfiguration = &types.SplunkDestinationConfiguration{
				HECEndpoint: aws.String("https://example.com:8088"), HECEndpointType: types.HECEndpointTypeEvent,
				HECToken: aws.String("51D4DA16-C61B-4F5F-8EC7-ED4301342A4A"), HECAcknowledgmentTimeoutInSeconds: aws.Int32(600),
				BufferingHints: &types.SplunkBufferingHints{SizeInMBs: aws.Int32(3), IntervalInSeconds: aws.Int32(45)},
				RetryOptions:   &types.SplunkRetryOptions{DurationInSeconds: aws.Int32(50)},
				S3BackupMode:   types.SplunkS3BackupModeFailedEventsOnly, S3Configuration: within("splunk/"), CloudWatchLoggingOptions: logging,
			}
		},
	}
	for kind, configure := range kinds {
		t.Run(kind, func(t *testing.T) {
			p := &provider{t: t, Client: s.client, name: kind}
			in := &firehose.CreateDeliveryStreamInput{DeliveryStreamName: &kind, DeliveryStreamType: types.DeliveryStreamTypeDirectPut,
				Tags: []types.Tag{{Key: aws.String("Name"), Value: &kind}, {Key: aws.String("Gone"), Value: &kind}}}
			configure(in)
			p.create(in)
			p.refused(clientAs(guest, s.server.URL(), http.DefaultTransport), "ResourceNotFoundException")
			p.refused(clientAs(harness.Key{AccessKey: guest.AccessKey, SecretKey: "wrong"}, s.server.URL(), http.DefaultTransport), "InvalidSignatureException")
			p.refused(newClient(s.server.URL(), http.DefaultTransport), "UnrecognizedClientException")
			out, err := s.client.PutRecord(t.Context(), &firehose.PutRecordInput{DeliveryStreamName: &kind, Record: &types.Record{Data: []byte("{}")}})
			if err != nil || !*out.Encrypted {
				t.Errorf("put: %+v, %v", out, err)
			}
			p.update(in)
			p.remove()
		})
	}
}

// tree is a shape of the SDK as JSON has it.
func tree(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// secrets are the members that are never described.
var secrets = map[string]bool{"AccessKey": true, "Password": true}

// same wants every member that was said to be described as it was said.
func same(t *testing.T, path string, said, got any) {
	t.Helper()
	a, isObject := said.(map[string]any)
	if !isObject {
		if !reflect.DeepEqual(said, got) {
			t.Errorf("%s: %v became %v", path, said, got)
		}
		return
	}
	b, _ := got.(map[string]any)
	for name, v := range a {
		if v == nil || v == "" || secrets[name] {
			continue
		}
		if to, ok := described[name]; ok {
			name = to
		}
		same(t, fmt.Sprintf("%s.%s", path, name), v, b[name])
	}
}
