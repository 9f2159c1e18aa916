package app

import (
	"context"
	"crypto/cipher"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"

	"thalweg/internal/arn"
	"thalweg/internal/awsapi"
	"thalweg/internal/awsapi/faults"
	"thalweg/internal/awsapi/model/kafkaconnect"
	"thalweg/internal/awsapi/model/kinesisanalyticsv2"
	"thalweg/internal/awsapi/model/kinesisvideo"
	"thalweg/internal/awsapi/model/kinesisvideoarchivedmedia"
	"thalweg/internal/awsapi/model/kinesisvideomedia"
	"thalweg/internal/awsapi/model/kinesisvideosignaling"
	"thalweg/internal/awsapi/model/kinesisvideowebrtcstorage"
	"thalweg/internal/catalog"
	"thalweg/internal/config"
	"thalweg/internal/errs"
	"thalweg/internal/firehose"
	"thalweg/internal/glue"
	"thalweg/internal/identity"
	"thalweg/internal/kinesis"
	"thalweg/internal/lease"
	"thalweg/internal/limits"
	"thalweg/internal/listen"
	"thalweg/internal/log"
	"thalweg/internal/log/disk"
	"thalweg/internal/meta"
	"thalweg/internal/msk"
	"thalweg/internal/queues"
	"thalweg/internal/schemas"
	"thalweg/internal/streams"
	"thalweg/internal/tables"
	"thalweg/internal/vfs"
)

// part is one thing that is started, and stopped in reverse order.
type part struct {
	name  string
	start func(context.Context, *Server) error
	stop  func(context.Context, *Server) error // nil: there is nothing to stop
}

// dataParts open a data directory.
func dataParts() []part {
	return []part{
		{"clock", startClock, nil},
		{"log", startLog, stopLog},
		{"keystore", startKeystore, nil},
		{"access keys", startKeys, nil},
	}
}

// serverParts serve it.
func serverParts() []part {
	return []part{
		{"certificates", startCerts, stopCerts},
		{"metrics", startMetrics, nil},
		{"catalog", startCatalog, nil},
		{"streams", startStreams, nil},
		{"queues", startQueues, nil},
		{"tables", startTables, nil},
		{"schemas", startSchemas, nil},
		{"clusters", newClusters, nil},
		{"objects", startObjects, nil},
		{"lake", startLake, nil},
		{"delivery", startDelivery, stopDelivery},
		{"background", nothing, stopBackground},
		{"doors", startDoors, nil},
		{"AWS APIs", startAWS, nil},
		{"Kafka", startKafka, stopKafka},
		{"listeners", startListeners, stopListeners},
		{"certificates ready", awaitCerts, nil},
		{"administration", startAdmin, stopAdmin},
		{"ready file", startReadyFile, stopReadyFile},
	}
}

func nothing(context.Context, *Server) error { return nil }

// startClock makes the clock movable when the test aids are on.
func startClock(_ context.Context, s *Server) error {
	if s.cfg.HasTestAids() {
		s.shift = newShiftClock(s.clock)
		s.clock = s.shift
	}
	return nil
}

func startLog(ctx context.Context, s *Server) error {
	dir := s.dir()
	o := disk.Options{Clock: s.clock, Durability: log.Durable, MaxDisk: int64(s.cfg.MaxDisk), Logger: s.logger, Keys: logKeys{s}}
	memory := int64(s.cfg.Memory)
	if s.cfg.Ephemeral {
		s.fs = vfs.NewEphemeral()
		if o.MaxDisk == 0 { // records are memory too: half of it is theirs
			o.MaxDisk = memory / 2
			memory -= o.MaxDisk
		}
		o.WALFileBytes, o.TailBytes, o.SegmentBytes = memoryFileBytes, memoryFileBytes, 4*memoryFileBytes
	} else {
		s.fs = vfs.OS{}
		var err error
		if dir, err = absolute(s.cfg.Data); err != nil {
			return err
		}
		s.data = dir
		if err := s.fs.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if s.cfg.Durability == config.OS {
		o.Durability = log.Written
	}
	s.budget = limits.NewBudget(memory)
	o.CompactMemory = memory / compactShare
	o.FS, o.Dir, o.Memory = s.fs, dir, s.budget
	s.maxDisk, o.Others = o.MaxDisk, s.stored.Load
	var err error
	s.log, err = disk.Open(ctx, o)
	return err
}

// compactShare is the part of the memory that compaction may know keys in: one of so
// many.
const compactShare = 16

// memoryFileBytes is the size of the log's files in memory, where whatever is
// laid out in advance is used up.
const memoryFileBytes = 4 << 20

func stopLog(ctx context.Context, s *Server) error { return s.log.Close(ctx) }

// dir is the data directory in s.fs.
func (s *Server) dir() string {
	if s.data == "" {
		return "/data"
	}
	return s.data
}

// startKeystore opens the keystore. One is made before anything is put into the
// log: to make another later would hide that the right one is gone.
func startKeystore(_ context.Context, s *Server) (err error) {
	if len(s.log.Partitions()) == 0 {
		s.keystore, err = identity.OpenKeystore(s.fs, s.dir())
		return err
	}
	s.keystore, err = identity.ReadKeystore(s.fs, s.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return &errs.Error{Kind: errs.Corrupt, Op: "open keystore", Msg: "the file keystore is missing in " + s.dir(), Err: err,
			Hint: "restore it from a backup: without it no access key and nothing encrypted can be read"}
	}
	return err
}

// logKeys are the keys of the log. It asks for none before the keystore is open:
// what is read until then is not encrypted.
type logKeys struct{ s *Server }

func (k logKeys) Cipher(key uint32) (cipher.AEAD, error) { return k.s.keystore.Cipher(key) }

func startKeys(ctx context.Context, s *Server) error {
	var err error
	if s.keys, err = identity.NewKeys(s.keystore, s.clock); err != nil {
		return err
	}
	store, err := meta.Open(ctx, meta.Options{Log: s.log, Partition: metadata(keysIndex), Clock: s.clock, Machine: s.keys})
	if err != nil {
		return err
	}
	s.keys.Attach(journal{store})
	return nil
}

// journal keeps single events in a store.
type journal struct{ store *meta.Store }

func (j journal) Append(ctx context.Context, event []byte) error {
	_, err := j.store.Commit(ctx, func() (meta.Change, error) { return meta.Change{Events: [][]byte{event}}, nil })
	return err
}

func startCatalog(ctx context.Context, s *Server) error {
	var err error
	if s.catalog, err = catalog.Open(ctx, s.log, s.clock); err == nil {
		s.catalog.Bound(s.budget)
	}
	return err
}

func startStreams(_ context.Context, s *Server) error {
	var err error
	s.streams, err = streams.New(streams.Options{Log: s.log, Catalog: s.catalog, Clock: s.clock, Keys: s.keystore, Memory: s.budget,
		Limits: s.cfg.Limits, Logger: s.logger})
	if err != nil {
		return err
	}
	s.group.Go("streams", s.streams.Run)
	s.streamMetrics()
	return nil
}

func startQueues(ctx context.Context, s *Server) error {
	var err error
	s.queues, err = queues.Open(ctx, queues.Options{Streams: s.streams, Log: s.log, Partition: metadata(queuesIndex), Clock: s.clock,
		Memory: s.budget})
	return err
}

// tablesShare is the part of the memory that tables may take.
const tablesShare = 8

func startTables(ctx context.Context, s *Server) error {
	var err error
	s.tables, err = tables.Open(ctx, tables.Options{Log: s.log, Partition: metadata(tablesIndex), Clock: s.clock, Memory: s.budget,
		MaxBytes: min(int64(s.cfg.Memory)/tablesShare, tables.MaxBytes)})
	return err
}

func stopBackground(ctx context.Context, s *Server) error { return s.group.Stop(ctx) }

// schemasShare is the part of the memory that they may take.
const schemasShare = 32

func startSchemas(ctx context.Context, s *Server) error {
	var err error
	s.schemas, err = schemas.Open(ctx, schemas.Options{Log: s.log, Partition: metadata(schemasIndex), Clock: s.clock, Memory: s.budget,
		MaxBytes: int64(s.cfg.Memory) / schemasShare})
	return err
}

// startDoors makes the services. Those without a door refuse every operation
// with an error of their own model.
func startDoors(_ context.Context, s *Server) error {
	s.services = []*awsapi.Service{
		kinesis.New(s.streams, s.queues, s.delivery).Service(),
		lease.NewTables(s.tables).Service(),
		lease.NewMetrics(s.metrics, s.clock).Service(),
		lease.Identity{}.Service(),
		glue.New(s.schemas).Service(),
		firehose.New(s.delivery, s.streams, s.clusters).Service(),
		msk.New(s.clusters, s.delivery).Service(),
		kafkaconnect.NewService(kafkaconnect.Unimplemented{}),
		kinesisanalyticsv2.NewService(kinesisanalyticsv2.Unimplemented{}),
		kinesisvideo.NewService(kinesisvideo.Unimplemented{}),
		kinesisvideoarchivedmedia.NewService(kinesisvideoarchivedmedia.Unimplemented{}),
		kinesisvideomedia.NewService(kinesisvideomedia.Unimplemented{}),
		kinesisvideosignaling.NewService(kinesisvideosignaling.Unimplemented{}),
		kinesisvideowebrtcstorage.NewService(kinesisvideowebrtcstorage.Unimplemented{}),
	}
	return nil
}

// policies are those of the resources of all services.
type policies []identity.Policies

func (p policies) Policy(resource arn.ARN) string {
	for _, of := range p {
		if text := of.Policy(resource); text != "" {
			return text
		}
	}
	return ""
}

func startAWS(_ context.Context, s *Server) error {
	mode := identity.Open
	if s.cfg.Auth == config.AuthStrict {
		mode = identity.Strict
	}
	s.auth = identity.New(identity.Config{Mode: mode, Clock: s.clock, Keys: s.keys,
		Account: string(s.cfg.Account), Region: string(s.cfg.Region), Policies: policies{s.streams, s.clusters}})
	c := awsapi.Config{Services: s.services, Auth: s.auth, Budget: s.budget,
		Log: s.logger, Clock: s.clock, Deadlines: s.system, Observer: s.metrics}
	if s.cfg.HasTestAids() {
		s.faults = faults.New(s.services, s.clock)
		c.Interceptor = s.faults
	}
	s.s3, s.iceberg = s.newS3(), s.newIceberg()
	var err error
	s.aws, err = awsapi.NewServer(c)
	return err
}

// certificates are opened beside the other parts: making them takes as many
// syncs as all the rest.
type certificates struct {
	done  chan struct{} // closed when the others are set
	certs *listen.Certs
	err   error
}

func startCerts(_ context.Context, s *Server) error {
	if s.cfg.ListenTLS.IsOff() && !slices.ContainsFunc(s.cfg.ListenKafka, config.KafkaListener.TLS) {
		return nil
	}
	names := s.advertisedNames()
	c := &certificates{done: make(chan struct{})}
	s.certs = c
	s.group.Go("certificates", func(context.Context) error {
		defer close(c.done)
		c.certs, c.err = listen.OpenCerts(s.fs, s.dir(), s.clock, names, string(s.cfg.Region))
		return nil
	})
	return nil
}

// awaitCerts waits for the certificates. They are made without waiting for
// anybody, so this ends.
func awaitCerts(_ context.Context, s *Server) error {
	if s.certs == nil {
		return nil
	}
	<-s.certs.done
	return s.certs.err
}

// stopCerts waits too, so that nothing is written once the log is closed.
func stopCerts(_ context.Context, s *Server) error {
	if s.certs != nil {
		<-s.certs.done
	}
	return nil
}

// certificate is for the TLS listener's handshakes.
func (c *certificates) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	<-c.done
	if c.err != nil {
		return nil, c.err
	}
	return c.certs.Certificate(hello)
}

// advertisedNames are the host names by which clients may know the server.
func (s *Server) advertisedNames() []string {
	names := s.cfg.AdvertisedHosts()
	for i, h := range names {
		names[i] = hostOnly(h)
	}
	return names
}

func hostOnly(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return hostport
}

// readyReport is what --ready-file gets.
type readyReport struct {
	HTTP           string          `json:"http"`
	HTTPS          string          `json:"https"`
	Kafka          string          `json:"kafka"`
	KafkaListeners []KafkaListener `json:"kafka_listeners"`
	Data           string          `json:"data"`
	PID            int             `json:"pid"`
}

func startReadyFile(_ context.Context, s *Server) error {
	if s.cfg.ReadyFile == "" {
		return nil
	}
	a := s.Addresses()
	b, err := json.Marshal(readyReport{HTTP: a.HTTP, HTTPS: a.HTTPS, Kafka: a.Kafka, KafkaListeners: s.KafkaListeners(),
		Data: s.data, PID: os.Getpid()})
	if err != nil {
		return err
	}
	name, err := absolute(s.cfg.ReadyFile)
	if err != nil {
		return err
	}
	if err := writeVolatile(vfs.OS{}, name, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write --ready-file: %w", err)
	}
	return nil
}

// stopReadyFile removes the file: nobody is ready any more.
func stopReadyFile(_ context.Context, s *Server) error {
	if s.cfg.ReadyFile == "" {
		return nil
	}
	name, err := absolute(s.cfg.ReadyFile)
	if err != nil {
		return err
	}
	return removeIfThere(vfs.OS{}, name)
}

// writeVolatile replaces a file whole. It syncs nothing: the file means nothing
// after a crash.
func writeVolatile(fsys vfs.FS, name string, data []byte, perm fs.FileMode) error {
	tmp := name + ".tmp"
	// A file left by a crash would lend the new one its permissions.
	if err := removeIfThere(fsys, tmp); err != nil {
		return err
	}
	f, err := fsys.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return fsys.Rename(tmp, name)
}

func removeIfThere(fsys vfs.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// startAdmin writes AdminFile, so that the owner of the data directory can
// administer this server. A server in memory has none.
func startAdmin(_ context.Context, s *Server) error {
	if s.data == "" {
		return nil
	}
	a := s.Addresses()
	admin := Admin{Endpoint: a.HTTP, Token: newToken(), PID: os.Getpid()}
	if admin.Endpoint == "" {
		admin.Endpoint = a.HTTPS
	}
	b, err := json.Marshal(admin)
	if err != nil {
		return err
	}
	if err := writeVolatile(s.fs, s.data+"/"+AdminFile, append(b, '\n'), 0o600); err != nil {
		return errs.Wrap(errs.KindOf(err), "write "+AdminFile, err)
	}
	s.admin.Store(&admin.Token)
	return nil
}

func stopAdmin(_ context.Context, s *Server) error {
	if s.data == "" {
		return nil
	}
	return removeIfThere(s.fs, s.data+"/"+AdminFile)
}
