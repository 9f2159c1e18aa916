package lint

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// layer is a group of packages that may import the same things.
type layer struct {
	name     string
	packages []string // directories; with all below them
	imports  []string // layers, or directories; "*" is everything
	netHTTP  bool     // may import net/http
	reason   string   // why not more
}

// layers say which way imports go. A package belongs to the layer that names the
// longest part of its path.
var layers = []layer{
	{"command", []string{"cmd"}, []string{"internal/cli", "internal/app"}, false,
		"a main only starts: what it does belongs into cli or app, where it can be tested"},
	{"app", []string{"internal/app"}, []string{"*"}, true, ""},
	{"cli", []string{"internal/cli"}, []string{
		"internal/app", "internal/client", "internal/demo", "internal/config", "internal/identity", "internal/advise",
		"internal/awsapi", "internal/kpl", "log", "internal/log/disk", "internal/objstore/fs", "internal/vfs", "ground"}, true,
		"the command line talks HTTP, or opens a data directory by itself (verify, backup, keys)"},
	{"client", []string{"internal/client"}, []string{"internal/config", "ground"}, true,
		"a client knows the wire only, so that what it shows is what users get"},
	{"demo", []string{"internal/demo"}, []string{"internal/client", "internal/config", "internal/vfs", "ground"}, true,
		"the demo is a user: it goes through the real API"},
	{"config", []string{"internal/config"}, []string{"ground"}, false,
		"everything reads the configuration, so it may depend on nothing that does"},
	{"embedding", []string{".", "thalwegtest"}, []string{".", "internal/app", "internal/config", "ground"}, true,
		"the public surface is a thin cover of app"},

	{"door", []string{
		"internal/kinesis", "internal/firehose", "internal/kinesisvideo", "internal/flink", "internal/msk",
		"internal/lease", "internal/glue"}, []string{
		"internal/awsapi", "awsapi/model", "wire", "domain", "internal/identity", "internal/objstore", "ground"}, true,
		"a door translates a wire API to the domain: it keeps nothing itself, and needs no other door to do it"},
	{"iceberg", []string{"internal/iceberg"}, []string{"internal/awsapi", "internal/lake", "internal/objstore", "ground"}, true,
		"the Iceberg REST catalog is a door with a wire of its own, to the tables of the lake and nothing else"},
	{"domain", []string{"internal/lake"}, domainMay("internal/lake"), false, domainReason},
	{"s3", []string{"internal/s3"}, []string{"internal/awsapi", "internal/sigv4", "internal/objstore", "ground"}, true,
		"S3 is a door with a wire of its own: it proves bodies while they are read, and needs nothing of the domain"},
	{"kafka", []string{"internal/kafka"}, []string{"internal/kwire", "domain", "log", "internal/identity", "ground"}, false,
		"the Kafka door moves batches untouched, so it may use the log directly, but no other door and no HTTP"},
	{"console", []string{"internal/console"}, []string{"internal/awsapi", "awsapi/model", "domain", "internal/identity", "ground"}, true,
		"the console shows the domain; it goes through no door"},

	{"awsapi", []string{"internal/awsapi"}, []string{"internal/awsapi", "internal/sigv4", "ground"}, true,
		"the wire knows bytes, not meaning"},
	{"awsapi/model", []string{"internal/awsapi/model"}, []string{
		"internal/awsapi", "internal/awsapi/codec", "internal/awsapi/validate", "ground"}, false,
		"generated models depend on the codecs only, never on each other"},
	{"wire", []string{"internal/kwire", "internal/mkv", "internal/fmp4", "internal/kpl"}, []string{"ground"}, false,
		"containers and framing are pure functions on bytes"},
	{"sigv4", []string{"internal/sigv4"}, []string{"ground"}, true,
		"verifying a signature needs a request and a key, nothing else"},
	{"http", []string{"internal/http1", "internal/httpguard", "internal/listen"}, []string{"http", "internal/vfs", "ground"}, true,
		"serving HTTP needs no knowledge of what is served"},
	{"identity", []string{"internal/identity"}, []string{
		"internal/sigv4", "internal/awsapi", "internal/meta", "log", "internal/vfs", "ground"}, true,
		"who may do what is decided below every door, and without any of them"},

	{"domain", []string{"internal/video", "internal/advise", "internal/catalog"}, domainMay("internal/catalog"), false, domainReason},
	{"domain", []string{"internal/tables"}, domainMay("internal/tables"), false, domainReason},
	{"domain", []string{"internal/schemas"}, domainMay(), false, domainReason},
	{"domain", []string{"internal/streams"}, domainMay("internal/catalog"), false, domainReason},
	{"domain", []string{"internal/queues"}, domainMay("internal/catalog", "internal/streams"), false, domainReason},
	{"domain", []string{"internal/brokers"}, domainMay("internal/catalog", "internal/streams"), false, domainReason},
	{"domain", []string{"internal/clusters"}, domainMay("internal/catalog", "internal/streams", "internal/brokers"), false, domainReason},
	{"domain", []string{"internal/delivery"}, domainMay(deliveryMay...),
		false, domainReason},
	{"domain", []string{"internal/delivery/dest", "internal/delivery/process/lambda"}, domainMay(deliveryMay...),
		true, domainReason},
	{"domain", []string{"internal/sql"}, domainMay("internal/sql"), false, domainReason},
	{"domain", []string{"internal/sql/connect"}, domainMay("internal/sql", "internal/streams", "internal/brokers", "internal/delivery"),
		false, domainReason},
	{"domain", []string{"internal/jobs"}, domainMay("internal/sql", "internal/catalog"), true, domainReason},

	{"egress", []string{"internal/egress"}, []string{"ground"}, true,
		"where the server may connect to is decided in one place, for all that connects"},

	{"log", []string{"internal/log", "internal/log/batch"}, []string{"ground"}, false,
		"the log's interface is what everything stands on; it can depend on no implementation"},
	{"log/compact", []string{"internal/log/compact"}, []string{"log", "ground"}, false,
		"what compaction leaves is decided on batches alone; where they are is the log's business"},
	{"log/disk", []string{"internal/log/disk"}, []string{"log", "internal/log/compact", "internal/vfs", "ground"}, false, storageReason},
	{"log/kafkalog", []string{"internal/log/kafkalog"}, []string{"log", "internal/kwire", "ground"}, false, storageReason},
	{"log/logtest", []string{"internal/log/logtest"}, []string{"log", "ground"}, false,
		"a conformance suite knows the interface only, or it would favour one implementation"},
	{"meta", []string{"internal/meta"}, []string{"internal/meta", "log", "ground"}, false, storageReason},
	{"objstore", []string{"internal/objstore"}, []string{"internal/objstore", "ground"}, false, storageReason},
	{"objstore/fs", []string{"internal/objstore/fs"}, []string{"internal/objstore", "internal/vfs", "ground"}, false, storageReason},
	{"objstore/s3", []string{"internal/objstore/s3"}, []string{"internal/objstore", "internal/sigv4", "ground"}, true, storageReason},
	{"delivery/files", []string{"internal/delivery/files"}, []string{"internal/delivery", "internal/delivery/dest", "internal/vfs", "ground"}, false, storageReason},
	{"vfs", []string{"internal/vfs"}, []string{"ground"}, false, "the file system seam lies under all storage"},
	{"ground", []string{
		"internal/arn", "internal/ids", "internal/clock", "internal/errs", "internal/limits",
		"internal/invariants", "internal/lifecycle", "internal/opt"}, []string{"ground"}, false,
		"ground is the standard library and each other only, because everything imports it"},

	{"ground", []string{"internal/metrics"}, []string{"ground"}, true, "as for all ground; its exposition is an HTTP handler"},

	{"outside", []string{"tests", "bench", "tools", "examples"}, []string{"*"}, true, ""},
}

const (
	domainReason = "the domain knows storage by its interfaces and other domains by the listed edges only, " +
		"so that each part can be read, tested and replaced alone"
	storageReason = "a storage implementation knows its interface, vfs and ground, so that another can take its place"
)

// deliveryMay is what delivery imports of the domain and beside it.
var deliveryMay = []string{
	"internal/delivery", "internal/delivery/dest", "internal/catalog", "internal/streams", "internal/brokers", "internal/kpl", "internal/sigv4", "internal/egress",
	"internal/lake",
}

// domainMay returns what every domain package may import, and more.
func domainMay(more ...string) []string {
	return append([]string{"log", "internal/meta", "internal/objstore", "ground"}, more...)
}

// implementations are chosen by app alone.
var implementations = map[string]struct {
	also   []string
	reason string
}{
	"internal/log/disk":     {[]string{"internal/cli"}, "only app chooses an implementation; cli opens a directory to verify or back it up"},
	"internal/log/kafkalog": {nil, "only app chooses an implementation"},
	"internal/objstore/fs":  {[]string{"internal/cli"}, "only app chooses an implementation; cli verifies a directory"},
	"internal/objstore/s3":  {nil, "only app chooses an implementation"},
}

// layerOf returns the layer of a directory, nil if none claims it.
func layerOf(dir string) *layer {
	var best *layer
	longest := -1
	for i := range layers {
		for _, p := range layers[i].packages {
			match := within(dir, p)
			if p == "." {
				match = dir == "."
			}
			if match && len(p) > longest {
				best, longest = &layers[i], len(p)
			}
		}
	}
	return best
}

// may reports whether l may import the package in directory target.
func (l *layer) may(target string) bool {
	of := layerOf(target)
	for _, allowed := range l.imports {
		switch {
		case allowed == "*":
			return true
		case of != nil && of.name == allowed:
			return true
		case allowed == target:
			return true
		case of != nil && within(target, allowed) && slices.Contains(of.packages, allowed):
			return true // a part of the allowed package that has no layer of its own
		}
	}
	return false
}

func checkImports(files []*File, report func(*File, int, string)) {
	for _, f := range files {
		if f.Go == nil {
			continue
		}
		l := layerOf(f.Dir())
		if l == nil {
			report(f, 1, "package is in no layer; add it to tools/lint/layers.go, where imports are decided")
			continue
		}
		if f.Test() {
			continue // tests put together what they like
		}
		for _, spec := range f.Go.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if why := l.refuses(f.Dir(), target); why != "" {
				report(f, f.line(spec.Pos()), why)
			}
		}
	}
}

// refuses says why a package in dir, which is of layer l, may not import path;
// "" if it may.
func (l *layer) refuses(dir, path string) string {
	if path == "net/http" && !l.netHTTP {
		return l.name + " imports net/http: nothing below awsapi speaks HTTP, except objstore/s3, delivery/dest, delivery/process/lambda and jobs"
	}
	target, ours := strings.CutPrefix(path, Module+"/")
	if path == Module {
		target, ours = ".", true
	}
	if !ours {
		return ""
	}
	if impl, ok := implementations[target]; ok && l.name != "app" && l.name != "outside" && !slices.Contains(impl.also, dir) {
		return dir + " imports " + target + ": " + impl.reason
	}
	if own := within(target, dir) && dir != "."; !own && !l.may(target) {
		return dir + " imports " + target + ": " + l.reason
	}
	return ""
}

// dependency is a module that we use, and where.
type dependency struct {
	module string
	in     []string // directories
	tests  bool     // in tests too
	reason string
}

// dependencies are all modules that may be imported; dependencyPage says what
// each is for.
var dependencies = []dependency{
	{"github.com/aws/aws-sdk-go-v2", []string{"internal/cli", "internal/client", "internal/demo", "internal/objstore/s3", "thalwegtest"}, true,
		"the server speaks AWS's wire from its own generated models; the SDK is what clients use, the object store in S3 among them"},
	{"github.com/aws/smithy-go", []string{"internal/cli", "internal/client", "internal/demo", "internal/objstore/s3", "thalwegtest"}, true,
		"the server speaks AWS's wire from its own generated models; the SDK is what clients use"},
	{"github.com/twmb/franz-go", []string{"internal/kwire", "internal/kafka", "internal/brokers", "internal/log/kafkalog", "internal/delivery/remote", "internal/cli"}, true,
		"Kafka's messages are known to the framing, the door, the records of its groups, the Kafka log and the source that is a topic elsewhere; the command line is a client"},
	{"github.com/spf13/cobra", []string{"internal/cli"}, false, "commands are the command line's"},
	{"github.com/spf13/pflag", []string{"internal/cli"}, false, "flags are the command line's"},
	{"github.com/prometheus/client_golang", []string{"internal/metrics", "internal/app"}, true, "packages count through internal/metrics"},
	{"github.com/klauspost/compress", []string{
		"internal/log/batch", "internal/kwire", "internal/kafka", "internal/awsapi", "internal/delivery", "internal/client", "internal/cli",
		"internal/demo"}, true, "bytes are packed and unpacked where a format says so, and nowhere else"},
	{"github.com/pierrec/lz4", []string{"internal/log/batch"}, true, "LZ4 is a codec of record batches"},
	{"github.com/parquet-go/parquet-go", []string{"internal/delivery/convert"}, true, "Parquet is written in one place"},
	{"github.com/twmb/avro", []string{"internal/lake/manifest"}, true, "the manifests of tables are the only Avro"},
	{"github.com/itchyny/gojq", []string{"internal/delivery/process/jq"}, true, "queries are evaluated in one place, which bounds them"},
	{"github.com/tetratelabs/wazero", []string{"internal/delivery/process/wasm"}, true, "modules are run in one place, which keeps them apart"},
	{"github.com/segmentio/asm", []string{"internal/awsapi", "internal/kinesis", "internal/ids"}, true, "base64 of records only"},
	{"google.golang.org/protobuf", []string{"internal/kpl"}, true, "its wire format is read where a format is protocol buffers"},
	{"gopkg.in/yaml.v3", []string{"internal/config"}, true, "the configuration file is the only YAML"},
	{"github.com/jackc/pgx", []string{"internal/delivery/dest/redshift"}, true, "PostgreSQL is one destination's"},
	{"golang.org/x/sys", []string{"internal/vfs", "internal/cli"}, true, "system calls on files belong to vfs"},
	{"golang.org/x/term", []string{"internal/cli", "internal/client", "internal/demo"}, false, "only the command line has a terminal"},
	{"golang.org/x/net", []string{"internal/app", "internal/http1", "internal/listen"}, true, "the listener is app's"},
	{"github.com/IBM/sarama", nil, true, testOnly},
	{"github.com/aws/aws-msk-iam-sasl-signer-go", nil, true, testOnly},
	{"github.com/cockroachdb/datadriven", nil, true, testOnly},
	{"github.com/fxamacker/cbor", nil, true, testOnly},
	{"github.com/google/go-cmp", nil, true, testOnly},
	{"github.com/rogpeppe/go-internal", nil, true, testOnly},
	{"go.uber.org/goleak", nil, true, testOnly},
	{"pgregory.net/rapid", nil, true, testOnly},
}

// companions come with another module, under whose name they are listed.
var companions = map[string]string{
	"github.com/aws/smithy-go": "github.com/aws/aws-sdk-go-v2",
	"github.com/spf13/pflag":   "github.com/spf13/cobra",
}

// dependencyPage is where every dependency is listed with its reason.
const dependencyPage = "docs/dependencies.md"

const testOnly = "is for tests only: it does not go into the program"

func checkDependencies(files []*File, report func(*File, int, string)) {
	var page *File
	for _, f := range files {
		if f.Path == dependencyPage {
			page = f
		}
	}
	for _, f := range files {
		if f.Go == nil {
			continue
		}
		for _, spec := range f.Go.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			first, _, _ := strings.Cut(path, "/")
			if err != nil || !strings.Contains(first, ".") || first == Module {
				continue // the standard library, or ours
			}
			i := slices.IndexFunc(dependencies, func(d dependency) bool { return within(path, d.module) })
			switch {
			case i >= 0 && page != nil && !bytes.Contains(page.Src, []byte(cmp.Or(companions[dependencies[i].module], dependencies[i].module))):
				report(f, f.line(spec.Pos()), dependencies[i].module+" is not in "+dependencyPage+", where readers look for what we depend on")
			case i < 0:
				report(f, f.line(spec.Pos()), path+" is no known dependency; the default answer is no, "+
					"else it goes into tools/lint/layers.go and docs/dependencies.md with its reason")
			case f.Within(dependencies[i].in...) || f.Test() && dependencies[i].tests:
			default:
				report(f, f.line(spec.Pos()), dependencies[i].module+" in "+f.Dir()+": "+dependencies[i].reason)
			}
		}
	}
}
