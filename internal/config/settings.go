package config

import (
	"strings"
	"time"

	"thalweg/internal/limits"
)

const defaultShutdown = 10 * time.Second

// Setting describes one field of a Config and points at it.
type Setting struct {
	// Name is the flag's and the YAML key's name.
	Name  string
	Value Value
	// Help is one line without a period; Doc is what more there is to know.
	Help, Doc string
}

// Env returns the setting's name in the environment.
func (s Setting) Env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// EnvPrefix begins every environment variable of ours. Variables with it that
// name no setting are not an error: schedulers make some of their own, such as
// THALWEG_PORT for a service called thalweg.
const EnvPrefix = "THALWEG_"

// Settings is the table of everything that can be set, pointing into c, in the
// order of the documentation.
func (c *Config) Settings() []Setting {
	return []Setting{
		{"data", text{&c.Data, "DIR"}, "data directory",
			"Made when missing. One process at a time works on it. The default follows the XDG base directory specification: `$XDG_DATA_HOME/thalweg`, else `~/.local/share/thalweg`, else `thalweg-data` in the working directory."},
		{"ephemeral", boolean{&c.Ephemeral}, "keep everything in memory and nothing on disk",
			"For tests. Also enables the test aids. Records take half of `--memory`, or what `--max-disk` says."},
		{"durability", choice[Durability]{at: &c.Durability, words: []Durability{Fsync, OS}}, "what an acknowledged record survives",
			"`fsync`: kill -9 and power failure. `os`: the end of the process, not of the machine."},
		{"log", choice[string]{at: &c.Log, words: []string{"disk"}}, "where the log is kept", ""},
		{"memory", &c.Memory, "budget for bodies, queues and caches",
			"Beyond it requests get the service's throttling error. The process keeps within this plus 64MiB; GOMEMLIMIT is set to this plus 12MiB unless you set it."},
		{"max-disk", &c.MaxDisk, "refuse writes when the data directory is larger; 0 is without bound",
			"Nothing is deleted early. With `--ephemeral` it bounds the records in memory, beside `--memory`."},
		{"listen", &c.Listen, "plain HTTP address of every AWS API, health and metrics; off for none",
			"HTTP/1.1, and HTTP/2 by prior knowledge. Port 0 picks a free one."},
		{"listen-tls", &c.ListenTLS, "the same over TLS; off for none",
			"The certificate comes from an authority of the data directory's own; `thalweg trust` prints it."},
		{"listen-kafka", kafkaListeners{&c.ListenKafka}, "addresses of Kafka's protocol; off for none",
			"PROTO is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. NAME is the cluster, `default`. Port 0 picks a free one. A bind off loopback needs SASL_SSL, or SSL with `--kafka-client-ca`, and `--auth strict`; or `--insecure`. The certificate is the one of `--listen-tls`. With SASL clients prove themselves as users of the cluster by SCRAM-SHA-256 or SCRAM-SHA-512 (`kafka-configs`), or with an access key of the server's account 000000000000 (`thalweg keys create`): by AWS_MSK_IAM, by OAUTHBEARER with a token of AWS's signers, both for the region of `--region` (set AWS_REGION for the client), or under TLS by PLAIN, with the key's id and secret; whatever `--auth` says. For AWS_MSK_IAM the name that clients dial must be advertised. With `--auth strict` the keys of that account may do everything (but for what the cluster's policy says, PutClusterPolicy), and everybody else, `User:ANONYMOUS` on a listener without authentication too, what ACLs allow (`kafka-acls`): nothing at first."},
		{"kafka-max-reauth", &c.KafkaReauth, "after how long a Kafka client must prove again who it is",
			"connections.max.reauth.ms of Apache Kafka (KIP-368). A token of OAUTHBEARER ends a session earlier."},
		{"kafka-client-ca", text{&c.KafkaCA, "FILE"}, "PEM file of authorities that sign the certificates of Kafka clients",
			"Clients of an SSL listener must then show a certificate, and are known by its subject, as in Apache Kafka: `User:CN=...`. Without it they are `User:ANONYMOUS`."},
		{"kafka-secrets", text{&c.KafkaSecrets, "DIR"}, "directory of the secrets that the MSK API makes users of clusters from",
			"BatchAssociateScramSecret finds the secret of an ARN in the file of its name here, `AmazonMSK_...`, with the six letters at the end of the ARN or without: `{\"username\": \"...\", \"password\": \"...\"}`, as AWS Secrets Manager keeps it. Those of other accounts than `--account` are in directories here that have the accounts' names."},
		{"kafka-sources", text{&c.KafkaSources, "FILE"}, "Kafka clusters elsewhere whose topics delivery streams may read",
			"A JSON array, read once, at the start: `[{\"arn\": \"arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID\", \"accounts\": [\"000000000000\"], \"brokers\": [\"HOST:PORT\"], \"tls\": true, \"ca\": \"FILE\", \"sasl\": {\"mechanism\": \"SCRAM-SHA-512\", \"username\": \"...\", \"password\": \"...\"}}]`. An MSKSourceConfiguration names the cluster by that ARN, and only delivery streams of those accounts. The mechanism is PLAIN under TLS, SCRAM-SHA-256, SCRAM-SHA-512, or AWS_MSK_IAM with `access_key`, `secret_key` and, if there is one, `session_token`. Brokers are connected to as `--allow-egress` has it."},
		{"kafka-brokers", brokerCount{&c.KafkaBrokers}, "brokers that a Kafka cluster shows",
			"Each has a port of its own: so many from the listener's on, or free ones for port 0. They share one log, so that a replication factor up to this number is accepted and stores one copy."},
		{"kafka-ports", &c.KafkaPorts, "ports of the Kafka clusters that are made through the MSK API",
			"Each broker of such a cluster takes one for each kind of client that it lets in. They are at the host of the first `--listen-kafka`. Without it a cluster takes ports that are free, and keeps them."},
		{"advertise", list{&c.Advertise, "[NAME=]HOST[:PORT]", checkAdvertised}, "names by which clients reach the listeners",
			"An entry with the NAME of a Kafka cluster is what its clients are told to connect to (for one made through the MSK API a HOST alone, the ports are its own); without one, Kafka clients of a listener off loopback are told the first HOST here, else the address that they came to. Requests for another Host are refused in open mode, so that no web page can reach the server through a name of its own."},
		{"auth", choice[Auth]{at: &c.Auth, words: []Auth{AuthOpen, AuthStrict}}, "which credentials are believed",
			"`open`: any, on loopback only. `strict`: signatures are verified against keys made with `thalweg keys create`, and Kafka clients are held to what they may do."},
		{"insecure", boolean{&c.Insecure}, "allow binds off loopback without TLS and strict authentication", ""},
		{"allow-origin", list{&c.AllowOrigin, "ORIGIN", checkOrigin}, "browser origins allowed beside those on loopback", ""},
		{"allow-egress", list{&c.AllowEgress, "HOST|NETWORK", checkEgress}, "addresses that a resource may have the server connect to, beside public ones",
			"Endpoints of delivery streams and functions: an address, a network such as 10.0.0.0/8, a host name, or *.DOMAIN. Loopback and private addresses are allowed without it while the server itself listens on loopback only."},
		{"lambda", list{&c.Lambda, "FUNCTION=URL", checkFunction}, "where the functions are that transform records of delivery streams",
			"FUNCTION is the ARN of a Lambda processor, or the name of a function of `--account`. Delivery streams call functions of their own account only. The URL is what the function's image listens on (the runtime interface emulator): events are POSTed to URL/2015-03-31/functions/function/invocations. file:///PATH is a WebAssembly module, a program of WASI preview 1, which the server runs itself: for each event anew, with the event as its standard input and the answer as its standard output, without files, network and time, in 64 MiB beside `--memory` and a minute."},
		{"lambda-endpoint", text{&c.LambdaURL, "URL"}, "where all other functions are asked for; none is nowhere",
			"An endpoint of Lambda's API, signed for with `--lambda-credentials`, for delivery streams of `--account`. A function that is nowhere fails the records."},
		{"lambda-credentials", text{&c.LambdaKeys, "FILE"}, "credentials for the endpoint of Lambda, in the form of AWS's shared credentials file",
			"Its first profile is used, and read at the start. Without it requests are not signed."},
		{"s3-endpoint", endpoint{&c.S3Endpoint}, "where delivery streams put objects, instead of the server's own buckets; aws is Amazon S3",
			"A URL of any service that speaks S3 and honours If-None-Match: a delivery that is repeated then finds its object. Buckets are named in the path. Delivery streams of `--account` put there; those of other accounts are refused, as they would do so with its credentials."},
		{"s3-credentials", text{&c.S3Keys, "FILE"}, "credentials for the endpoint of S3, in the form of AWS's shared credentials file",
			"The lines `aws_access_key_id = ...`, `aws_secret_access_key = ...` and, for temporary ones, `aws_session_token = ...`, of the first section. Read once, at the start."},
		{"account", &c.Account, "account of requests whose access key names none", ""},
		{"region", &c.Region, "region of the default cluster",
			"The default is `AWS_REGION`, else us-east-1. A request's own region always comes from its signature."},
		{"limits", choice[limits.Mode]{at: &c.Limits, words: []limits.Mode{limits.Off, limits.Warn, limits.AWS}}, "whether AWS's limits on throughput and calls apply",
			"`aws`: what AWS refuses is refused, per shard and, for calls that manage streams, per account or stream. `warn`: nothing is refused; the metric `thalweg_limits_exceeded_total` and the log tell what would have been. A stream's tag `thalweg:limits` with one of these values overrides this for that stream. See [limits.md](limits.md)."},
		{"ready-file", text{&c.ReadyFile, "FILE"}, "write one JSON object with the addresses here once ready",
			"Written whole by rename: `http`, `https`, `kafka`, `kafka_listeners`, `data`, `pid`."},
		{"test-aids", boolean{&c.TestAids}, "enable the clock, faults and reset endpoints",
			"They answer on loopback only. Implied by `--ephemeral`. See [test-aids.md](test-aids.md)."},
		{"shutdown", &c.Shutdown, "how long a graceful stop may take", "A second signal ends the wait."},
		{"log-level", choice[LogLevel]{at: &c.LogLevel, words: []LogLevel{"debug", LevelInfo, "warn", "error"}}, "least severe level that is logged", ""},
		{"log-format", choice[LogFormat]{at: &c.LogFormat, words: []LogFormat{FormatAuto, FormatText, FormatJSON}}, "form of the server's own log",
			"`auto`: text on a terminal, JSON otherwise."},
	}
}
