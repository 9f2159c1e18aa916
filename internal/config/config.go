// Package config holds every setting of the server: one struct, one table that
// describes it, and one way to fill it in.
//
// A setting has one name, spelled the same as a flag (--max-disk), as a key of
// the YAML file (max-disk) and, in capitals, in the environment
// (THALWEG_MAX_DISK). A flag beats the environment, the environment beats the
// file, the file beats the default. Values check themselves as they are set;
// what concerns two settings at once is checked by [Config.Validate].
// docs/config.md is generated from the same table.
package config

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"thalweg/internal/errs"
	"thalweg/internal/limits"
)

// Config is what a server runs with. Make one with [Default] or [Load].
type Config struct {
	Data       string     // data directory; see DefaultData
	Ephemeral  bool       // keep everything in memory, nothing on disk
	Durability Durability // what an acknowledgement means
	Log        string     // where the log lives; "disk" is the only one so far
	Memory     Size       // budget for bodies, decompression, caches and queues
	MaxDisk    Size       // writes are refused beyond it; 0 is without bound

	Listen    HostPort // plain HTTP: every AWS API, health, metrics
	ListenTLS HostPort // the same over TLS
	Advertise []string // [NAME=]HOST[:PORT] by which clients may reach the listeners

	ListenKafka  []KafkaListener // Kafka's protocol; none is off
	KafkaBrokers int             // brokers that a cluster shows, each on a port of its own
	KafkaPorts   PortRange       // of the clusters that are made; any that are free when not set
	KafkaReauth  Duration        // after which a Kafka client must prove again who it is
	KafkaSecrets string          // directory of the secrets that users of clusters are made of; "" is none
	KafkaSources string          // file of the clusters elsewhere whose topics delivery streams may read; "" is none
	KafkaCA      string          // PEM file of authorities that vouch for Kafka clients' certificates; "" asks for none

	Auth        Auth        // which requests are believed
	Insecure    bool        // permits what Auth and TLS rules forbid off loopback
	AllowOrigin []string    // browser origins beside those on loopback
	AllowEgress []string    // what may be connected to for a resource, beside public addresses
	Lambda      []string    // FUNCTION=URL: where functions that transform records are
	S3Endpoint  string      // where delivery streams put objects; "" is the server's own buckets
	S3Keys      string      // file of the credentials for it
	LambdaURL   string      // where all other functions are asked for; "" is nowhere
	LambdaKeys  string      // file of the credentials for it; "" does not sign
	Account     Account     // account of a request whose key names none
	Region      Region      // region of the default cluster, and of the banner
	Limits      limits.Mode // whether AWS's limits on rates apply

	ReadyFile string   // where to write one JSON object once ready
	TestAids  bool     // the clock, faults and reset endpoints
	Shutdown  Duration // how long a graceful stop may take
	LogLevel  LogLevel
	LogFormat LogFormat
}

// Default returns the settings that hold when nothing else is said. The
// environment is consulted for the data directory's place and AWS_REGION only.
func Default(env Env) Config {
	region := Region("us-east-1")
	if v, ok := env("AWS_REGION"); ok && region.check(v) == nil {
		region = Region(v)
	}
	return Config{
		Data:         DefaultData(env),
		Durability:   Fsync,
		Log:          "disk",
		Memory:       256 << 20,
		Listen:       "127.0.0.1:4566",
		ListenTLS:    "127.0.0.1:4567",
		ListenKafka:  []KafkaListener{{Cluster: DefaultCluster, Protocol: "PLAINTEXT", Addr: "127.0.0.1:9092"}},
		KafkaBrokers: 1,
		KafkaReauth:  Duration(time.Hour),
		Auth:         AuthOpen,
		Account:      "000000000000",
		Region:       region,
		Limits:       limits.Off,
		Shutdown:     Duration(defaultShutdown),
		LogLevel:     LevelInfo,
		LogFormat:    FormatAuto,
	}
}

// DefaultData is the data directory when none is given: the XDG base directory
// specification's place for user data, else thalweg-data below the working
// directory for a user without a home.
func DefaultData(env Env) string {
	if dir, ok := env("XDG_DATA_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "thalweg")
	}
	if home, ok := env("HOME"); ok && filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "thalweg")
	}
	return "thalweg-data"
}

// Env looks a variable up, as os.LookupEnv does.
type Env func(name string) (string, bool)

// OSEnv is the process's environment.
func OSEnv(name string) (string, bool) { return os.LookupEnv(name) }

// Validate reports what no single setting can see. Its errors name the settings
// and the way out.
func (c *Config) Validate() error {
	if c.Data == "" && !c.Ephemeral {
		return &errs.Error{Kind: errs.Invalid, Msg: "no data directory", Hint: "give --data DIR or --ephemeral"}
	}
	if c.Listen.IsOff() && c.ListenTLS.IsOff() {
		return &errs.Error{Kind: errs.Invalid, Msg: "both listeners are off", Hint: "give --listen or --listen-tls an address"}
	}
	for _, l := range c.ListenKafka {
		if _, port, err := net.SplitHostPort(string(l.Addr)); err == nil {
			if n, err := strconv.Atoi(port); err == nil && n+c.KafkaBrokers-1 > 65535 {
				return &errs.Error{Kind: errs.Invalid, Msg: "there are not enough ports from " + string(l.Addr) + " on for the brokers",
					Hint: "give --listen-kafka a lower port, or --kafka-brokers a smaller number"}
			}
		}
	}
	if c.KafkaCA != "" && !slices.ContainsFunc(c.ListenKafka, KafkaListener.TLS) {
		return &errs.Error{Kind: errs.Invalid, Msg: "--kafka-client-ca is for certificates of clients, and no Kafka listener speaks TLS",
			Hint: "give --listen-kafka an SSL://HOST:PORT"}
	}
	if c.Memory < minMemory {
		return &errs.Error{Kind: errs.Invalid, Msg: "memory is " + c.Memory.String() + ", which is less than the server can work with",
			Hint: "give at least " + minMemory.String()}
	}
	return nil
}

// minMemory holds one largest request and its records twice.
const minMemory Size = 32 << 20

// Unsafe names every setting that weakens a promise, in words for people.
// An empty list is a server that keeps all of them.
func (c *Config) Unsafe() []string {
	var out []string
	switch {
	case c.Ephemeral:
		out = append(out, "memory only: every record is lost when the process ends (--ephemeral)")
	case c.Durability == OS:
		out = append(out, "not fsynced: acknowledged records can be lost on power failure (--durability os)")
	}
	if c.Insecure {
		out = append(out, "the checks on binds, TLS and authentication off loopback are disabled (--insecure)")
	}
	return out
}

// Authenticates tells whether clients of a Kafka listener must prove who they are.
func (c *Config) Authenticates(l KafkaListener) bool { return l.SASL() || l.TLS() && c.KafkaCA != "" }

// Promise says in a few words what an acknowledgement means.
func (c *Config) Promise() string {
	switch {
	case c.Ephemeral:
		return "memory only, nothing survives the process"
	case c.Durability == OS:
		return "os, acknowledged records survive the process, not a power failure"
	default:
		return "fsync, acknowledged records survive kill -9 and power failure"
	}
}

// HasTestAids tells whether the clock, faults and reset endpoints exist.
func (c *Config) HasTestAids() bool { return c.Ephemeral || c.TestAids }

// OnLoopback tells whether only this machine reaches the AWS APIs.
func (c *Config) OnLoopback() bool {
	return (c.Listen.IsOff() || IsLoopback(c.Listen)) && (c.ListenTLS.IsOff() || IsLoopback(c.ListenTLS))
}

// IsLoopback tells whether only this machine reaches hp.
func IsLoopback(hp HostPort) bool {
	host, _, err := net.SplitHostPort(string(hp))
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
