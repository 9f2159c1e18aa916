package firehose

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/snappy"
	"github.com/parquet-go/parquet-go"

	"thalweg/tests/events"
	"thalweg/tests/sdk"
)

// sink is a kind of destination that events are delivered to.
type sink struct {
	name string
	// faulty is what receives, where that has faults.
	faulty *faulty
	// change changes the destination of a delivery stream after the k-th kill; nil leaves it.
	change func(ctx context.Context, stream string, k int) error
	// configure makes the destination of a delivery stream.
	configure func(in *firehose.CreateDeliveryStreamInput, stream string)
	// check holds what has arrived of a delivery stream against what was put.
	check func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool)
}

// bucketSinks are S3 with every compression.
func (s *suite) bucketSinks() (all []*sink) {
	for format, open := range map[types.CompressionFormat]func([]byte) ([]byte, error){
		types.CompressionFormatUncompressed: func(b []byte) ([]byte, error) { return b, nil },
		types.CompressionFormatGzip:         gunzip,
		types.CompressionFormatZip:          unzip,
		types.CompressionFormatSnappy:       func(b []byte) ([]byte, error) { return unsnap(b, false) },
		types.CompressionFormatHadoopSnappy: func(b []byte) ([]byte, error) { return unsnap(b, true) },
	} {
		all = append(all, &sink{
			name: strings.ToLower(string(format)),
			configure: func(in *firehose.CreateDeliveryStreamInput, _ string) {
				in.ExtendedS3DestinationConfiguration.CompressionFormat = format
			},
			check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
				got := newTally()
				s.each(stream+"/", func(key string, body []byte) error {
					got.begin()
					plain, err := open(body)
					if err != nil {
						return err
					}
					return got.lines(plain)
				})
				got.check(t, stream, set, doubtful)
			},
		})
	}
	return all
}

// changingSink is S3 whose prefix and compression are others after each kill.
func (s *suite) changingSink() *sink {
	return &sink{
		name:      "changing",
		configure: func(*firehose.CreateDeliveryStreamInput, string) {},
		change: func(ctx context.Context, stream string, k int) error {
			format := types.CompressionFormatUncompressed
			if k%2 == 0 {
				format = types.CompressionFormatGzip
			}
			_, err := s.client.UpdateDestination(ctx, &firehose.UpdateDestinationInput{
				DeliveryStreamName: &stream, CurrentDeliveryStreamVersionId: aws.String(strconv.Itoa(k + 1)), DestinationId: aws.String("destinationId-000000000001"),
				ExtendedS3DestinationUpdate: &types.ExtendedS3DestinationUpdate{Prefix: aws.String(fmt.Sprintf("%s/after-%d/", stream, k+1)), CompressionFormat: format},
			})
			return err
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			got, places := newTally(), map[string]bool{}
			s.each(stream+"/", func(key string, body []byte) (err error) {
				got.begin()
				places[strings.Split(key, "/")[1]] = true
				if strings.HasSuffix(key, ".gz") {
					if body, err = gunzip(body); err != nil {
						return err
					}
				}
				return got.lines(body)
			})
			got.check(t, stream, set, doubtful)
			t.Logf("%s: below %d prefixes", stream, len(places))
		},
	}
}

// each has fn see every object below a prefix, one at a time.
func (s *suite) each(prefix string, fn func(key string, body []byte) error) {
	s.t.Helper()
	pages := s3.NewListObjectsV2Paginator(s.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range page.Contents {
			got, err := s.s3.GetObject(s.t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: o.Key})
			if err != nil {
				s.t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			if err := errors.Join(err, got.Body.Close()); err != nil {
				s.t.Fatal(err)
			}
			if err := fn(*o.Key, body); err != nil {
				s.t.Errorf("object %s: %v", *o.Key, err)
			}
		}
	}
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func unzip(b []byte) ([]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if len(r.File) != 1 {
		return nil, fmt.Errorf("%d entries", len(r.File))
	}
	f, err := r.File[0].Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// unsnap reads the stream of snappy-java, or Hadoop's blocks.
func unsnap(b []byte, hadoop bool) (out []byte, err error) {
	if !hadoop {
		if len(b) < 16 || string(b[:8]) != "\x82SNAPPY\x00" {
			return nil, errors.New("no stream of snappy-java")
		}
		b = b[16:]
	}
	for len(b) > 0 {
		if hadoop {
			b = b[min(4, len(b)):]
		}
		if len(b) < 4 || len(b)-4 < int(binary.BigEndian.Uint32(b)) {
			return nil, errors.New("a block is cut off")
		}
		end := 4 + int(binary.BigEndian.Uint32(b))
		block, err := snappy.Decode(nil, b[4:end])
		if err != nil {
			return nil, err
		}
		out, b = append(out, block...), b[end:]
	}
	return out, nil
}

// row is what is read back of an event that was made a row.
type row struct {
	Map    string `parquet:"map"`
	Kind   string `parquet:"kind"`
	Game   string `parquet:"game_id"`
	Player string `parquet:"player_id"`
	Seq    int64  `parquet:"seq"`
}

// parquetSink is Parquet by the table of the catalog, partitioned by map and kind.
func (s *suite) parquetSink() *sink {
	s.glue("CreateDatabase", `{"DatabaseInput":{"Name":"game"}}`)
	s.glue("CreateTable", `{"DatabaseName":"game","TableInput":{"Name":"events","StorageDescriptor":{"Columns":[`+
		`{"Name":"map","Type":"string"},{"Name":"kind","Type":"string"},{"Name":"game_id","Type":"string"},{"Name":"player_id","Type":"string"},`+
		`{"Name":"seq","Type":"bigint"},{"Name":"ts","Type":"bigint"},{"Name":"x","Type":"double"},{"Name":"y","Type":"double"},`+
		`{"Name":"ability_name","Type":"string"}]}}}`)
	processor := func(kind types.ProcessorType, parameters ...string) types.Processor {
		p := types.Processor{Type: kind}
		for i := 0; i < len(parameters); i += 2 {
			p.Parameters = append(p.Parameters, types.ProcessorParameter{ParameterName: types.ProcessorParameterName(parameters[i]), ParameterValue: &parameters[i+1]})
		}
		return p
	}
	return &sink{
		name: "parquet",
		configure: func(in *firehose.CreateDeliveryStreamInput, stream string) {
			d := in.ExtendedS3DestinationConfiguration
			d.Prefix = aws.String(stream + "/m=!{partitionKeyFromQuery:map}/k=!{partitionKeyFromQuery:kind}/")
			d.ErrorOutputPrefix = aws.String("failed/" + stream + "/!{firehose:error-output-type}/")
			d.BufferingHints = &types.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(60)}
			d.DynamicPartitioningConfiguration = &types.DynamicPartitioningConfiguration{Enabled: aws.Bool(true)}
			d.ProcessingConfiguration = &types.ProcessingConfiguration{Enabled: aws.Bool(true), Processors: []types.Processor{
				processor(types.ProcessorTypeMetadataExtraction, "MetadataExtractionQuery", "{map:.map,kind:.kind}", "JsonParsingEngine", "JQ-1.6"),
			}}
			d.DataFormatConversionConfiguration = &types.DataFormatConversionConfiguration{
				Enabled:                   aws.Bool(true),
				SchemaConfiguration:       &types.SchemaConfiguration{RoleARN: role, DatabaseName: aws.String("game"), TableName: aws.String("events"), Region: aws.String(sdk.Region), VersionId: aws.String("LATEST")},
				InputFormatConfiguration:  &types.InputFormatConfiguration{Deserializer: &types.Deserializer{OpenXJsonSerDe: &types.OpenXJsonSerDe{}}},
				OutputFormatConfiguration: &types.OutputFormatConfiguration{Serializer: &types.Serializer{ParquetSerDe: &types.ParquetSerDe{}}},
			}
		},
		check: func(t *testing.T, stream string, set events.Set, doubtful map[events.ID]bool) {
			got, dir := newTally(), t.TempDir()
			s.each(stream+"/", func(key string, body []byte) error {
				got.begin()
				if err := keep(filepath.Join(dir, key), body); err != nil {
					return err
				}
				rows, err := parquet.Read[row](bytes.NewReader(body), int64(len(body)))
				for _, r := range rows {
					if !strings.HasPrefix(key, stream+"/m="+r.Map+"/k="+r.Kind+"/") {
						return fmt.Errorf("an event of %s and %s", r.Map, r.Kind)
					}
					got.add(events.ID{Game: r.Game, Player: r.Player, Seq: r.Seq})
				}
				return err
			})
			got.check(t, stream, set, doubtful)
			for _, reader := range []string{"arrow", "duckdb"} {
				if *python != "" {
					readRows(t, reader, dir).check(t, stream+" as "+reader+" reads it", set, doubtful)
				}
			}
			s.each("failed/"+stream+"/", func(string, []byte) error { return errors.New("there were none to fail") })
		},
	}
}

// glue calls the catalog of tables, of which the SDK is not among the dependencies.
func (s *suite) glue(operation, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.server.URL()+"/", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSGlue."+operation)
	sum := sha256.Sum256([]byte(body))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: sdk.AccessKey, SecretAccessKey: sdk.SecretKey}, req,
		hex.EncodeToString(sum[:]), "glue", sdk.Region, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %s", operation, resp.StatusCode, text)
	}
}
