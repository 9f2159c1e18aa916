package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"thalweg/internal/delivery"
	"thalweg/internal/delivery/convert"
	"thalweg/internal/delivery/dest"
	"thalweg/internal/delivery/dest/httpendpoint"
	"thalweg/internal/delivery/dest/iceberg"
	"thalweg/internal/delivery/dest/opensearch"
	"thalweg/internal/delivery/dest/redshift"
	"thalweg/internal/delivery/dest/s3"
	"thalweg/internal/delivery/dest/splunk"
	"thalweg/internal/delivery/files"
	"thalweg/internal/delivery/process"
	"thalweg/internal/delivery/process/lambda"
	"thalweg/internal/delivery/process/wasm"
	"thalweg/internal/delivery/remote"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
	"thalweg/internal/metrics"
	"thalweg/internal/objstore"
	s3store "thalweg/internal/objstore/s3"
	"thalweg/internal/schemas"
	"thalweg/internal/sigv4"
	"thalweg/internal/vfs"
)

// deliveryDir is where deliveries set records aside, below the data directory.
const deliveryDir = "/delivery"

func startDelivery(ctx context.Context, s *Server) error {
	out, err := egress.New(s.cfg.OnLoopback(), s.cfg.AllowEgress)
	if err != nil {
		return err
	}
	functions, err := s.functions(ctx, out)
	if err != nil {
		return err
	}
	if s.batches, err = files.Open(s.fs, s.dir()+deliveryDir, s.keystore.Secret("delivery files")); err != nil {
		return err
	}
	store, err := s.buckets()
	if err != nil {
		return err
	}
	kinds := map[string]dest.Spec{}
	for _, spec := range slices.Concat([]dest.Spec{
		s3.Spec(store, s3.TablesFunc(s.columns), s.budget), httpendpoint.Spec(out), redshift.Spec(out), splunk.Spec(out),
		iceberg.Spec(s.lake, s.budget),
	}, opensearch.Specs(out)) {
		kinds[spec.Kind] = spec
	}
	topics, err := s.remote(out)
	if err != nil {
		return err
	}
	s.delivery, err = delivery.Open(ctx, delivery.Options{
		Log: s.log, Catalog: s.catalog, Streams: s.streams, Partition: metadata(deliveriesIndex), Clock: s.clock, Keys: s.keystore,
		Destinations: kinds, Files: s.batches, Remote: topics, Group: s.group, Memory: s.budget, Logger: s.logger, Jitter: jitter, Limits: s.cfg.Limits,
		Process: func(c dest.Config, e dest.Env) ([]dest.Processor, error) { return process.Open(c, e, functions) },
	})
	if err != nil {
		return err
	}
	s.delivery.Start()
	s.deliveryMetrics()
	return nil
}

func stopDelivery(ctx context.Context, s *Server) (err error) {
	if s.sources != nil {
		s.sources.Close()
	}
	for _, m := range s.modules {
		err = errors.Join(err, m.Close(ctx))
	}
	return err
}

// remote are the Kafka clusters of --kafka-sources.
func (s *Server) remote(out *egress.Policy) (delivery.Remote, error) {
	if s.cfg.KafkaSources == "" {
		return nil, nil
	}
	name, err := absolute(s.cfg.KafkaSources)
	if err != nil {
		return nil, err
	}
	const limit = 1 << 20
	doc, err := vfs.ReadFile(vfs.OS{}, name, limit)
	if err != nil {
		return nil, errs.Wrap(errs.KindOf(err), "read --kafka-sources", err)
	}
	all, err := remote.Parse(doc)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "read --kafka-sources", err)
	}
	for i := range all {
		if all[i].Authorities, err = authorities(all[i].CA, "the ca of --kafka-sources"); err != nil {
			return nil, err
		}
	}
	if s.sources, err = remote.Open(all, out); err != nil {
		return nil, err
	}
	return s.sources, nil
}

// buckets are where deliveries put objects.
func (s *Server) buckets() (s3.Store, error) {
	if s.cfg.S3Endpoint == "" {
		return s.objects, nil
	}
	o := s3store.Options{Endpoint: s.cfg.S3Endpoint, Region: string(s.cfg.Region), PathStyle: true, Memory: s.budget}
	if o.Endpoint == "aws" {
		o.Endpoint, o.PathStyle = "", false
	}
	if s.cfg.S3Keys == "" {
		return nil, &errs.Error{Kind: errs.Invalid, Msg: "there are no credentials for the endpoint of S3", Hint: "give --s3-credentials FILE"}
	}
	var err error
	if o.AccessKey, o.SecretKey, o.Token, err = credentialsFile(s.cfg.S3Keys); err != nil {
		return nil, err
	}
	return outsideStore{s3store.New(o), string(s.cfg.Account)}, nil
}

// outsideStore is a store elsewhere, which is asked with the operator's credentials: for
// delivery streams of the server's own account only.
type outsideStore struct {
	s3.Store
	account string
}

// Put implements [s3.Store].
func (o outsideStore) Put(ctx context.Context, at objstore.Ref, body io.Reader, opts objstore.PutOptions) (objstore.Info, error) {
	if opts.Owner != o.account {
		return objstore.Info{}, errors.Join(objstore.ErrOwner, errs.New(errs.Denied, "the credentials for the endpoint of S3 are not account "+opts.Owner+"'s"))
	}
	return o.Store.Put(ctx, at, body, opts)
}

// credentialsFile reads a file of them, which must have some.
func credentialsFile(path string) (key, secret, token string, err error) {
	name, err := absolute(path)
	if err != nil {
		return "", "", "", err
	}
	file, err := vfs.ReadFile(vfs.OS{}, name, maxCredentials)
	if err != nil {
		return "", "", "", err
	}
	key, secret, token = readCredentials(string(file))
	if key == "" || secret == "" {
		return "", "", "", errs.New(errs.Invalid, name+" has no aws_access_key_id and aws_secret_access_key")
	}
	return key, secret, token, nil
}

// maxCredentials is more than a file of credentials has.
const maxCredentials = 64 << 10

// readCredentials reads the first section of a shared credentials file
// (docs.aws.amazon.com/sdkref/latest/guide/file-format.html).
func readCredentials(file string) (key, secret, token string) {
	begun := false
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if begun {
				break
			}
			begun = true
		}
		name, value, _ := strings.Cut(line, "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "aws_access_key_id":
			key = value
		case "aws_secret_access_key":
			secret = value
		case "aws_session_token":
			token = value
		}
	}
	return key, secret, token
}

// columns are those of a table of the catalog, for a conversion. A table of another
// account's catalog is none.
func (s *Server) columns(of dest.Stream, from convert.Source) ([]convert.Column, string, error) {
	scope := schemas.Scope{Account: cmp.Or(from.CatalogID, of.Account), Region: cmp.Or(from.Region, of.Region)}
	if scope.Account != of.Account {
		return nil, from.VersionID, errs.New(errs.NotFound, "the catalog is another account's")
	}
	version := int64(schemas.Latest)
	if from.VersionID != "" && from.VersionID != "LATEST" {
		n, err := strconv.ParseInt(from.VersionID, 10, 64)
		if err != nil {
			return nil, from.VersionID, errs.Wrap(errs.NotFound, "find a table's version", err)
		}
		version = n
	}
	t, err := s.schemas.Table(scope, from.DatabaseName, from.TableName, version)
	if err != nil {
		return nil, from.VersionID, err
	}
	list, err := t.Columns()
	columns := make([]convert.Column, len(list))
	for i, c := range list {
		columns[i] = convert.Column(c)
	}
	return columns, strconv.FormatInt(t.Version, 10), err
}

// functions are where Lambda processors find theirs.
func (s *Server) functions(ctx context.Context, out *egress.Policy) (*lambda.Functions, error) {
	urls, programs := map[string]string{}, map[string]lambda.Program{}
	for _, f := range s.cfg.Lambda {
		name, at, _ := strings.Cut(f, "=")
		if path, is := strings.CutPrefix(at, "file://"); !is {
			urls[name] = at
		} else if m, err := s.module(ctx, path); err != nil {
			return nil, errs.Wrap(errs.KindOf(err), "read --lambda "+f, err)
		} else {
			programs[name] = m
		}
	}
	c := lambda.Config{Account: string(s.cfg.Account), URLs: urls, Programs: programs, Endpoint: s.cfg.LambdaURL, Egress: out, Clock: s.clock}
	if s.cfg.LambdaKeys != "" {
		key, secret, token, err := credentialsFile(s.cfg.LambdaKeys)
		if err != nil {
			return nil, err
		}
		c.Signer = &sigv4.Signer{AccessKeyID: key, Secret: sigv4.NewSecret(secret), Token: token, Region: string(s.cfg.Region),
			Service: "lambda", Clock: s.clock}
	}
	return lambda.New(c)
}

// module compiles a function that is WebAssembly.
func (s *Server) module(ctx context.Context, path string) (*wasm.Module, error) {
	code, err := vfs.ReadFile(vfs.OS{}, path, wasm.MaxModule)
	if err != nil {
		return nil, err
	}
	m, err := wasm.Compile(ctx, code)
	if err == nil {
		s.modules = append(s.modules, m)
	}
	return m, err
}

// jitter is a random time of up to most.
func jitter(most time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(most)) + 1
}

// deliveryMetrics registers the traffic of delivery streams, by the names that
// CloudWatch has for it.
func (s *Server) deliveryMetrics() {
	kinds := []struct {
		name, help string
		gauge      bool
		of         func(*delivery.Meter) int64
	}{
		{"incoming_records_total", "Records put (IncomingRecords).", false, func(m *delivery.Meter) int64 { return m.InRecords.Load() }},
		{"incoming_bytes_total", "Bytes put (IncomingBytes).", false, func(m *delivery.Meter) int64 { return m.InBytes.Load() }},
		{"incoming_put_requests_total", "Puts (IncomingPutRequests).", false, func(m *delivery.Meter) int64 { return m.InPuts.Load() }},
		{"throttled_records_total", "Records refused (ThrottledRecords).", false, func(m *delivery.Meter) int64 { return m.Throttled.Load() }},
		{"over_limit_records_total", "Records beyond AWS's limits that were let through (--limits warn).", false, func(m *delivery.Meter) int64 { return m.OverLimit.Load() }},
		{"source_records_total", "Records read of the source (DataReadFromKinesisStream.Records).", false, func(m *delivery.Meter) int64 { return m.ReadRecords.Load() }},
		{"source_bytes_total", "Bytes read of the source (DataReadFromKinesisStream.Bytes).", false, func(m *delivery.Meter) int64 { return m.ReadBytes.Load() }},
		{"delivered_records_total", "Records delivered (DeliveryTo*.Records).", false, func(m *delivery.Meter) int64 { return m.OutRecords.Load() }},
		{"delivered_bytes_total", "Bytes delivered (DeliveryTo*.Bytes).", false, func(m *delivery.Meter) int64 { return m.OutBytes.Load() }},
		{"delivered_objects_total", "Objects delivered (DeliveryToS3.ObjectCount).", false, func(m *delivery.Meter) int64 { return m.OutObjects.Load() }},
		{"backup_records_total", "Records delivered to the backup (BackupToS3.Records).", false, func(m *delivery.Meter) int64 { return m.BackupRecords.Load() }},
		{"backup_bytes_total", "Bytes delivered to the backup (BackupToS3.Bytes).", false, func(m *delivery.Meter) int64 { return m.BackupBytes.Load() }},
		{"delivery_successes_total", "Attempts to deliver that succeeded (DeliveryTo*.Success).", false, func(m *delivery.Meter) int64 { return m.Succeeded.Load() }},
		{"delivery_failures_total", "Attempts to deliver that failed.", false, func(m *delivery.Meter) int64 { return m.Failed.Load() }},
		{"processed_records_total", "Records that processing made (SucceedProcessing.Records).", false, func(m *delivery.Meter) int64 { return m.Processed.Load() }},
		{"processed_bytes_total", "Bytes that processing made (SucceedProcessing.Bytes).", false, func(m *delivery.Meter) int64 { return m.ProcessedBytes.Load() }},
		{"processing_failures_total", "Records that processing refused.", false, func(m *delivery.Meter) int64 { return m.ProcessFailed.Load() }},
		{"lost_records_total", "Records lost with a deleted delivery stream.", false, func(m *delivery.Meter) int64 { return m.Lost.Load() }},
		{"data_freshness_milliseconds", "Age of the oldest record of the last delivery (DeliveryTo*.DataFreshness).", true, func(m *delivery.Meter) int64 { return m.Freshness.Load() }},
	}
	var list []metrics.Family
	for _, k := range kinds {
		list = append(list, metrics.Family{Name: "firehose_" + k.name, Help: k.help, Labels: []string{"account", "region", "delivery_stream"}, Gauge: k.gauge})
	}
	s.metrics.Families(list, func(emit func(int, float64, ...string)) {
		for _, r := range s.delivery.All() {
			m := s.delivery.Meter(r)
			if m.Idle() {
				continue
			}
			for i, k := range kinds {
				emit(i, float64(k.of(m)), r.Account, r.Region, r.Name)
			}
		}
	})
}
