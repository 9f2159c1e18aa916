package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/config.md")

func TestDocsAreCurrent(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "config.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(Docs()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != Docs() {
		t.Fatalf("docs/config.md is stale (%v); run go test ./internal/config -update", err)
	}
}

func env(kv ...string) Env {
	m := map[string]string{}
	for i := 0; i+1 < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "thalweg.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "memory: 64MiB\nregion: eu-west-1\nallow-origin: [https://a.example, 'https://b.example:8443']\n")
	for _, tc := range []struct {
		name string
		src  Sources
		want Size
	}{
		{"default", Sources{}, 256 << 20},
		{"file", Sources{File: file}, 64 << 20},
		{"file named by the environment", Sources{Env: env("THALWEG_CONFIG", file)}, 64 << 20},
		{"environment beats file", Sources{File: file, Env: env("THALWEG_MEMORY", "65MiB")}, 65 << 20},
		{"flag beats environment", Sources{File: file, Env: env("THALWEG_MEMORY", "65MiB"), Flags: map[string]string{"memory": "66MiB"}}, 66 << 20},
		{"an empty variable says nothing", Sources{File: file, Env: env("THALWEG_MEMORY", "")}, 64 << 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Load(tc.src)
			if err != nil {
				t.Fatal(err)
			}
			if c.Memory != tc.want {
				t.Errorf("memory = %v, want %v", c.Memory, tc.want)
			}
		})
	}
	c, err := Load(Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://a.example", "https://b.example:8443"}; !reflect.DeepEqual(c.AllowOrigin, want) {
		t.Errorf("allow-origin = %q, want %q", c.AllowOrigin, want)
	}
}

func TestRegion(t *testing.T) {
	for _, tc := range []struct {
		src  Sources
		want Region
	}{
		{Sources{}, "us-east-1"},
		{Sources{Env: env("AWS_REGION", "eu-central-1")}, "eu-central-1"},
		{Sources{Env: env("AWS_REGION", "not a region")}, "us-east-1"},
		{Sources{Env: env("AWS_REGION", "eu-central-1", "THALWEG_REGION", "us-gov-west-1")}, "us-gov-west-1"},
	} {
		c, err := Load(tc.src)
		if err != nil || c.Region != tc.want {
			t.Errorf("region = %v, %v; want %v", c.Region, err, tc.want)
		}
	}
}

func TestDefaultData(t *testing.T) {
	for _, tc := range []struct {
		env  Env
		want string
	}{
		{env("HOME", "/home/u"), "/home/u/.local/share/thalweg"},
		{env("HOME", "/home/u", "XDG_DATA_HOME", "/x"), "/x/thalweg"},
		{env("HOME", "/home/u", "XDG_DATA_HOME", "relative"), "/home/u/.local/share/thalweg"},
		{env(), "thalweg-data"},
	} {
		if got := DefaultData(tc.env); got != tc.want {
			t.Errorf("DefaultData = %q, want %q", got, tc.want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		env        Env
		flags      map[string]string
		want       string
	}{
		{name: "unknown key", file: "memry: 1GiB\n", want: "thalweg.yaml:1: memry: no such setting (did you mean memory?)"},
		{name: "unknown key, nothing near", file: "\nfrobnicate: 1\n", want: "thalweg.yaml:2: frobnicate: no such setting"},
		{name: "key twice", file: "memory: 64MiB\nmemory: 64MiB\n", want: "set twice"},
		{name: "no mapping", file: "- memory\n", want: "not a mapping"},
		{name: "two documents", file: "memory: 64MiB\n---\nmemory: 64MiB\n", want: "more than one document"},
		{name: "nested", file: "memory: {a: b}\n", want: "plain value"},
		{name: "null", file: "memory:\n", want: "no value"},
		{name: "not yaml", file: "a: b: c\n", want: "thalweg.yaml"},
		{name: "bad size", file: "memory: 12 parsecs\n", want: `"12 parsecs" is not a size`},
		{name: "decimal unit", flags: map[string]string{"memory": "256MB"}, want: "not a size"},
		{name: "negative size", flags: map[string]string{"memory": "-1MiB"}, want: "not a size"},
		{name: "huge size", flags: map[string]string{"memory": "1e30TiB"}, want: "not a size"},
		{name: "too little memory", flags: map[string]string{"memory": "1MiB"}, want: "at least 32MiB"},
		{name: "bad address", env: env("THALWEG_LISTEN", "4566"), want: "THALWEG_LISTEN: \"4566\" is not HOST:PORT"},
		{name: "address without host", flags: map[string]string{"listen": ":4566"}, want: "has no host"},
		{name: "bad port", flags: map[string]string{"listen": "localhost:99999"}, want: "between 0 and 65535"},
		{name: "named port", flags: map[string]string{"listen": "localhost:http"}, want: "between 0 and 65535"},
		{name: "no listener", flags: map[string]string{"listen": "off", "listen-tls": "off"}, want: "both listeners are off"},
		{name: "bad account", flags: map[string]string{"account": "12"}, want: "12 digits"},
		{name: "bad region", flags: map[string]string{"region": "Mars"}, want: "not a region"},
		{name: "bad durability", flags: map[string]string{"durability": "hope"}, want: "none of fsync|os"},
		{name: "bad limits", flags: map[string]string{"limits": "some"}, want: "none of off|warn|aws"},
		{name: "bad duration", flags: map[string]string{"shutdown": "0s"}, want: "not a duration"},
		{name: "bad origin", flags: map[string]string{"allow-origin": "example.com"}, want: "not an origin"},
		{name: "bad boolean", flags: map[string]string{"ephemeral": "maybe"}, want: "neither true nor false"},
		{name: "no data", flags: map[string]string{"data": ""}, want: "no data directory"},
		{name: "unknown flag", flags: map[string]string{"x": ""}, want: "no such setting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := Sources{Env: tc.env, Flags: tc.flags}
			if tc.file != "" {
				src.File = writeFile(t, tc.file)
			}
			_, err := Load(src)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q", err, tc.want)
			}
		})
	}
	if _, err := Load(Sources{File: "/does/not/exist"}); err == nil {
		t.Error("a missing file was accepted")
	}
}

// Every default must be a text that its own Set accepts and prints again.
func TestValuesRoundTrip(t *testing.T) {
	c := Default(env("HOME", "/home/u"))
	for _, s := range c.Settings() {
		before := s.Value.String()
		if err := s.Value.Set(before); err != nil {
			t.Errorf("%s: Set(%q): %v", s.Name, before, err)
		}
		if after := s.Value.String(); after != before {
			t.Errorf("%s: %q became %q", s.Name, before, after)
		}
	}
}

func TestSizeAndDurationText(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "17": 17, "1KiB": 1024, "1.5mib": 1536 << 10, "2 GiB": 2 << 30, "5B": 5} {
		var s Size
		if err := s.Set(in); err != nil || s != want {
			t.Errorf("Size %q = %d, %v; want %d", in, s, err, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Hour: "1h", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", 10 * time.Second: "10s"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("Duration %v = %q, want %q", d, got, want)
		}
	}
}

func TestUnsafeIsNamed(t *testing.T) {
	c := Default(env())
	if got := c.Unsafe(); len(got) != 0 {
		t.Errorf("the defaults are called unsafe: %q", got)
	}
	c.Durability, c.Insecure = OS, true
	if got := c.Unsafe(); len(got) != 2 {
		t.Errorf("os and insecure: %q", got)
	}
	c.Ephemeral = true
	if got := c.Unsafe(); !strings.Contains(got[0], "memory only") || !c.HasTestAids() {
		t.Errorf("ephemeral: %q", got)
	}
}

func TestIsLoopback(t *testing.T) {
	for hp, want := range map[HostPort]bool{"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "0.0.0.0:1": false, "example.com:1": false, "off": false} {
		if got := IsLoopback(hp); got != want {
			t.Errorf("IsLoopback(%s) = %v", hp, got)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("memory: 64MiB\n")
	f.Add("- a\n")
	f.Add("allow-origin: [https://a.example]\nlisten: off\n")
	f.Fuzz(func(t *testing.T, in string) {
		c := Default(env())
		if err := parseFile(c.Settings(), "f", []byte(in)); err == nil {
			_ = c.Validate()
		}
	})
}

func TestKafkaListeners(t *testing.T) {
	for _, tc := range []struct {
		listen, advertise string
		host              string
		port              int
		refused           string
	}{
		{listen: "127.0.0.1:9092", host: "127.0.0.1"},
		{listen: "default=PLAINTEXT://127.0.0.1:0", host: "127.0.0.1"},
		{listen: "0.0.0.0:9092"},
		{listen: "0.0.0.0:9092", advertise: "db.example:4567", host: "db.example"},
		{listen: "127.0.0.1:9092", advertise: "db.example", host: "127.0.0.1"},
		{listen: "127.0.0.1:9092", advertise: "db.example,default=kafka.example:19092", host: "kafka.example", port: 19092},
		{listen: "SASL_SSL://127.0.0.1:9092", host: "127.0.0.1"},
		{listen: "SSL://127.0.0.1:0", host: "127.0.0.1"},
		{listen: "other=127.0.0.1:9092", refused: `only "default"`},
		{listen: "HTTP://127.0.0.1:9092", refused: "no known protocol"},
		{listen: "127.0.0.1", refused: "not HOST:PORT"},
		{listen: "127.0.0.1:9092", advertise: "other=db.example", host: "127.0.0.1"},
		{listen: "127.0.0.1:9092", advertise: "other=db.example:19092", refused: "write other=HOST"},
	} {
		flags := map[string]string{"listen-kafka": tc.listen}
		if tc.advertise != "" {
			flags["advertise"] = tc.advertise
		}
		c, err := Load(Sources{Flags: flags})
		if tc.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%s: %v, want %q", tc.listen, err, tc.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.listen, err)
			continue
		}
		if host, port := c.KafkaAdvertised(c.ListenKafka[0]); host != tc.host || port != tc.port {
			t.Errorf("%s, %s: advertised %q %d, want %q %d", tc.listen, tc.advertise, host, port, tc.host, tc.port)
		}
	}
	for text, want := range map[string]string{"off": "off", "127.0.0.1:1,SSL://127.0.0.2:2": "127.0.0.1:1,SSL://127.0.0.2:2"} {
		c, err := Load(Sources{Flags: map[string]string{"listen-kafka": text}})
		if got := (kafkaListeners{&c.ListenKafka}).String(); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := Load(Sources{Flags: map[string]string{"listen-kafka": "127.0.0.1:65535", "kafka-brokers": "2"}}); err == nil {
		t.Error("two brokers on one port")
	}
	if _, err := Load(Sources{Flags: map[string]string{"kafka-client-ca": "ca.pem"}}); err == nil {
		t.Error("certificates of clients are asked for where there is no TLS")
	}
}
