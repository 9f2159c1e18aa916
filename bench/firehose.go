package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"thalweg/tests/events"
	"thalweg/tests/harness"
	"thalweg/tests/lean"
	"thalweg/tests/sdk"
)

const (
	primaryHose   = "thalweg fsync/strict"
	moto          = "moto[server,s3,firehose]==5.2.5"
	listHoses     = "ListDeliveryStreams"
	putBatchName  = "PutRecordBatch 500 x 1 KiB, to S3"
	toObjectName  = "put to object, no buffer"
	idleHoses     = 5000
	idleHosesName = "5000 idle delivery streams"
	hoseBucket    = "landing"
	objectSamples = 50
	deliverBytes  = 100 << 20 // put before a delivery is measured; less than a buffer
)

// hoseTargets are thalweg and moto, a stand-in for AWS's services that keeps all in
// memory and writes an object for each call.
func hoseTargets(ctx context.Context, o options) ([]target, error) {
	targets := []target{{name: primaryHose, primary: true, start: func(ctx context.Context, dir string) (*server, error) {
		return startThalweg(ctx, dir, "fsync", "strict", "--test-aids")
	}}}
	if o.peers == "none" {
		return targets, nil
	}
	program, err := installMoto(ctx)
	if err != nil {
		return nil, err
	}
	return append(targets, target{name: "moto", peer: true, start: func(ctx context.Context, dir string) (*server, error) {
		number, err := freePort()
		if err != nil {
			return nil, err
		}
		return runPeer(ctx, exec.Command(program, "-H", "127.0.0.1", "-p", number), number, dir, listHoses)
	}}), nil
}

// installMoto installs moto into bench/.cache and returns its program.
func installMoto(ctx context.Context) (string, error) {
	dir := filepath.Join(harness.Root(), "bench", ".cache", "moto")
	var last error
	for range 3 {
		for _, args := range [][]string{{"python3", "-m", "venv", dir}, {filepath.Join(dir, "bin", "pip"), "install", "-q", moto}} {
			out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
			if last = err; err != nil {
				last = fmt.Errorf("install moto: %w\n%s", err, out)
				break
			}
		}
		if last == nil {
			return filepath.Join(dir, "bin", "moto_server"), nil
		}
	}
	return "", last
}

func (s *server) hoseSigner(sign bool) lean.Signer {
	signer := s.signer(sign)
	signer.Service, signer.Target = "firehose", "Firehose_20150804"
	return signer
}

// hoses make and use delivery streams of a server.
type hoses struct {
	s       *server
	conn    *lean.Conn // nil for a peer, which does not answer twice on one
	signer  lean.Signer
	buckets *s3.Client
	made    int64 // delivery streams
}

func openHoses(s *server) (h *hoses, err error) {
	h = &hoses{s: s, signer: s.hoseSigner(true), buckets: s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + s.addr), Region: sdk.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.accessKey, s.secretKey, ""),
	})}
	if s.thalweg != nil {
		h.conn, err = lean.Dial(s.addr)
	}
	return h, err
}

func (h *hoses) close() error {
	if h.conn == nil {
		return nil
	}
	return h.conn.Close()
}

// do makes a call whose answer check judges.
func (h *hoses) do(request []byte, check func(lean.Response, error) error) error {
	if h.conn != nil {
		r, err := h.conn.Do(request)
		return check(r, err)
	}
	conn, err := lean.Dial(h.s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	r, err := conn.Do(request)
	return check(r, err)
}

// create makes a delivery stream into the bucket; more are further members.
func (h *hoses) create(name string, megabytes, seconds int, more string) error {
	h.made++
	return h.do(h.signer.Request("CreateDeliveryStream", fmt.Appendf(nil,
		`{"DeliveryStreamName":%q,"ExtendedS3DestinationConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/firehose","BucketARN":"arn:aws:s3:::%s",`+
			`"Prefix":"%s/","BufferingHints":{"SizeInMBs":%d,"IntervalInSeconds":%d}%s}}`, name, hoseBucket, name, megabytes, seconds, more)), putAnswer)
}

// batch is the body of a PutRecordBatch.
func batch(name string, records [][]byte) []byte {
	out := fmt.Appendf(nil, `{"DeliveryStreamName":%q,"Records":[`, name)
	for i, r := range records {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(base64.StdEncoding.AppendEncode(append(out, `{"Data":"`...), r), `"}`...)
	}
	return append(out, "]}"...)
}

// put puts records and wants all to be taken.
func (h *hoses) put(name string, records [][]byte) error {
	return h.do(h.signer.Request("PutRecordBatch", batch(name, records)), batchAnswer)
}

func batchAnswer(r lean.Response, err error) error {
	if err := putAnswer(r, err); err != nil {
		return err
	}
	if !strings.Contains(strings.ReplaceAll(string(r.Body[:min(len(r.Body), 1<<20)]), " ", ""), `"FailedPutCount":0`) {
		return fmt.Errorf("some records failed: %.300s", r.Body)
	}
	return nil
}

// flush waits until all that a stream has is delivered.
func (h *hoses) flush(ctx context.Context, name string) error {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+h.s.addr+"/_thalweg/firehose/"+name+"/flush", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("flush %s: %d %s", name, resp.StatusCode, text)
	}
	return nil
}

// measureHoses runs the workloads of Data Firehose's API against a server.
func (r *report) measureHoses(ctx context.Context, s *server, t target, o options) error {
	h, err := openHoses(s)
	if err != nil {
		return err
	}
	defer h.close()
	if _, err := h.buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(hoseBucket)}); err != nil {
		return err
	}
	type measure struct {
		name string
		run  func(context.Context, options) (result, error)
	}
	list := []measure{{toObjectName, h.toObject}, {putBatchName, h.putBatches}}
	if t.primary {
		list = append(list, measure{deliverName("gzip"), h.deliver("gzip", `,"CompressionFormat":"GZIP"`)},
			measure{deliverName("Parquet"), h.deliver("Parquet", parquetOf("game", "events"))})
	}
	for _, m := range list {
		if !strings.Contains(m.name, o.only) {
			continue
		}
		res, err := m.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		res.Server, res.Workload, res.Client = t.name, m.name, "lean"
		fmt.Println(res.line())
		r.Results = append(r.Results, res)
	}
	if t.primary && strings.Contains(idleHosesName, o.only) {
		start := &r.Starts[len(r.Starts)-1]
		if start.IdleHoses, err = h.idle(ctx); err != nil {
			return fmt.Errorf("%s: %w", idleHosesName, err)
		}
		fmt.Printf("%s: %.1f MB resident\n", idleHosesName, mega(start.IdleHoses))
	}
	return nil
}

// putBatches puts records that do not compress, which are delivered meanwhile.
func (h *hoses) putBatches(ctx context.Context, o options) (result, error) {
	if err := h.create("batches", 128, 60, ""); err != nil {
		return result{}, err
	}
	w := workload{conns: putsConns, open: func(s *server, _ options, conn int) (func() (int, error), func() error, error) {
		own, err := openHoses(s)
		if err != nil {
			return nil, nil, err
		}
		requests := make([][]byte, prebuilt)
		for i := range requests {
			var records [][]byte
			for _, rec := range randomRecords(perPuts, 1024, rand.New(rand.NewPCG(uint64(i), uint64(conn)))) {
				records = append(records, rec.Data)
			}
			requests[i] = own.signer.Request("PutRecordBatch", batch("batches", records))
		}
		next := 0
		return func() (int, error) {
			request := requests[next]
			next = (next + 1) % len(requests)
			return perPuts, own.do(request, batchAnswer)
		}, own.close, nil
	}}
	res, err := w.run(ctx, h.s, o)
	res.MBPerSecond, res.CPUPerGB = res.PerSecond*1024/1e6, res.CPUPerMillion/1.024
	return res, err
}

// toObject puts one record after another, each when the one before is in the bucket.
func (h *hoses) toObject(ctx context.Context, _ options) (res result, err error) {
	if err := h.create("one", 1, 0, ""); err != nil {
		return res, err
	}
	var took []time.Duration
	for n := range objectSamples {
		began := time.Now()
		if err := h.put("one", [][]byte{[]byte("x")}); err != nil {
			return res, err
		}
		for {
			page, err := h.buckets.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(hoseBucket), Prefix: aws.String("one/")})
			if err != nil {
				return res, err
			}
			if len(page.Contents) > n {
				break
			}
			if err := wait(ctx, time.Millisecond); err != nil {
				return res, err
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	res.Records, res.P50Millis, res.P99Millis = objectSamples, millis(quantile(took, 0.50)), millis(quantile(took, 0.99))
	return res, nil
}

func deliverName(form string) string { return "deliver player events, " + form }

// parquetOf converts records by a table of the catalog.
func parquetOf(database, table string) string {
	return fmt.Sprintf(`,"DataFormatConversionConfiguration":{"Enabled":true,"SchemaConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/firehose",`+
		`"DatabaseName":%q,"TableName":%q,"Region":"us-east-1","VersionId":"LATEST"},"InputFormatConfiguration":{"Deserializer":{"OpenXJsonSerDe":{}}},`+
		`"OutputFormatConfiguration":{"Serializer":{"ParquetSerDe":{}}}}`, database, table)
}

// table makes the table of player events.
func (h *hoses) table() error {
	glue := h.s.signer(true)
	glue.Service, glue.Target = "glue", "AWSGlue"
	if err := h.do(glue.Request("CreateDatabase", []byte(`{"DatabaseInput":{"Name":"game"}}`)), putAnswer); err != nil {
		return err
	}
	var columns []string
	for _, c := range strings.Fields("game_id:string player_id:string seq:bigint map:string kind:string race:string ts:bigint t_ms:bigint " +
		"x:double y:double ability_name:string control_group:int") {
		name, of, _ := strings.Cut(c, ":")
		columns = append(columns, fmt.Sprintf(`{"Name":%q,"Type":%q}`, name, of))
	}
	return h.do(glue.Request("CreateTable", []byte(`{"DatabaseName":"game","TableInput":{"Name":"events","StorageDescriptor":{"Columns":[`+
		strings.Join(columns, ",")+`]}}}`)), putAnswer)
}

// deliver puts player events that wait in the buffer, and measures their delivery.
func (h *hoses) deliver(name, more string) func(context.Context, options) (result, error) {
	return func(ctx context.Context, _ options) (res result, err error) {
		set, err := events.Load(harness.Root(), 0)
		if err != nil {
			return res, err
		}
		if name == "Parquet" {
			if err := h.table(); err != nil {
				return res, err
			}
		}
		if err := h.create(name, 128, 900, more); err != nil {
			return res, err
		}
		bytes := int64(0)
		for list := set.Events; bytes < deliverBytes && len(list) > 0; list = list[min(perPuts, len(list)):] {
			var records [][]byte
			for _, e := range list[:min(perPuts, len(list))] {
				records = append(records, append(e.Data(0), '\n'))
				bytes += int64(len(records[len(records)-1]))
				res.Records++
			}
			if err := h.put(name, records); err != nil {
				return res, err
			}
		}
		err = h.counted(&res, bytes, func() error { return h.flush(ctx, name) })
		return res, err
	}
}

// counted measures what is done with so many bytes.
func (h *hoses) counted(res *result, bytes int64, do func() error) error {
	before, err := harness.CPU(h.s.pid())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	seconds := time.Since(began).Seconds()
	after, err := harness.CPU(h.s.pid())
	if err != nil {
		return err
	}
	mem, err := harness.MemoryOf(h.s.pid())
	res.PerSecond, res.MBPerSecond = float64(res.Records)/seconds, float64(bytes)/1e6/seconds
	res.CPUPerMillion, res.CPUPerGB = (after-before).Seconds()*1e6/float64(res.Records), (after-before).Seconds()*1e9/float64(bytes)
	res.RSS = mem.RSS
	return err
}

// idle makes delivery streams, up to what an account may have, uses each once, starts the server again and tells what it
// has resident then.
func (h *hoses) idle(ctx context.Context) (int64, error) {
	var next atomic.Int64
	err := harness.Parallel(ctx, putsConns, func(ctx context.Context, _ int) error {
		own, err := openHoses(h.s)
		if err != nil {
			return err
		}
		defer own.close()
		for n := next.Add(1); n <= idleHoses-h.made && ctx.Err() == nil; n = next.Add(1) {
			name := fmt.Sprintf("idle-%d", n)
			if err := own.create(name, 1, 0, ""); err != nil {
				return err
			}
			if err := own.put(name, [][]byte{[]byte("x")}); err != nil {
				return err
			}
			if err := own.flush(ctx, name); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return 0, err
	}
	if err := h.s.thalweg.Stop(); err != nil {
		return 0, err
	}
	if err := h.s.thalweg.Restart(ctx); err != nil {
		return 0, err
	}
	mem, err := harness.MemoryOf(h.s.pid())
	return mem.RSS, err
}

// judgeHoses holds thalweg against the aims of Data Firehose.
func (r *report) judgeHoses() {
	for _, s := range r.Starts {
		if s.Server == primaryHose && s.IdleHoses > 0 {
			r.most(idleHosesName+", RSS", mega(s.IdleHoses), 64, "MB")
		}
	}
	for _, x := range r.Results {
		if x.Server != primaryHose {
			continue
		}
		switch x.Workload {
		case putBatchName:
			r.least(x.Workload, x.MBPerSecond, 150, "MB/s")
		case toObjectName:
			r.most(x.Workload+", p99", x.P99Millis, 1000, "ms")
		case deliverName("gzip"):
			r.least(x.Workload+", MB per CPU s", 1000/x.CPUPerGB, 120, "MB")
		case deliverName("Parquet"):
			r.least(x.Workload+", MB per CPU s", 1000/x.CPUPerGB, 150, "MB")
		}
	}
}
