package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"thalweg/internal/app"
	"thalweg/internal/config"
)

func (e Env) serveCmd() *cobra.Command {
	c := &cobra.Command{Use: "serve", Short: "Run a server",
		Long: `Run a server until SIGINT or SIGTERM. Every flag is also a key of the YAML file that
--config names and, as THALWEG_NAME, a variable of the environment.`,
		Example: "  thalweg serve --data ./data\n  thalweg serve --ephemeral --listen 127.0.0.1:0 --ready-file ready.json", Args: exactly()}
	load := e.serverFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		e.limitMemory(cfg)
		logger := e.logger(cfg, e.Stderr)
		srv, err := app.Start(c.Context(), app.Options{Config: cfg, Clock: e.Clock, Logger: logger})
		if err != nil {
			return err
		}
		e.banner(cfg, srv)
		if _, tty := terminal(e.Stdout); !tty { // nobody reads the banner
			logger.Info("ready", "http", srv.Addresses().HTTP, "https", srv.Addresses().HTTPS, "kafka", srv.Addresses().Kafka, "data", srv.Data(),
				"durability", cfg.Promise(), "took_ms", srv.StartTook().Milliseconds())
		}
		return waitAndStop(c.Context(), cfg, srv)
	}
	return c
}

// serverFlags adds every setting as a flag and returns what reads them.
func (e Env) serverFlags(c *cobra.Command) func() (config.Config, error) {
	given := map[string]string{}
	defaults := config.Default(e.Lookup)
	for _, s := range defaults.Settings() {
		f := c.Flags().VarPF(&flagText{name: s.Name, form: s.Value, given: given}, s.Name, "", s.Help)
		if s.Value.Type() == "" {
			f.NoOptDefVal = "true"
		}
	}
	var file string
	c.Flags().StringVar(&file, "config", "", "YAML `FILE` with settings")
	return func() (config.Config, error) {
		cfg, err := config.Load(config.Sources{Flags: given, Env: e.Lookup, File: file})
		if err != nil {
			u := &usageError{msg: err.Error(), hint: "every setting is described in docs/config.md and by " + e.program() + " serve --help"}
			return cfg, u
		}
		return cfg, nil
	}
}

// flagText keeps a flag's text for config.Load, which knows what beats what, and
// checks it at once.
type flagText struct {
	name  string
	form  config.Value // the default, used as a scratch value
	given map[string]string
}

var _ pflag.Value = (*flagText)(nil)

func (f *flagText) Set(s string) error {
	if err := f.form.Set(s); err != nil {
		return err
	}
	f.given[f.name] = s
	return nil
}
func (f *flagText) String() string {
	if f.form == nil {
		return ""
	}
	return f.form.String()
}

// Type names the form; bool is the name that help knows to leave out.
func (f *flagText) Type() string {
	if f.form.Type() == "" {
		return "bool"
	}
	return f.form.Type()
}

// limitMemory tells the Go runtime how much it may use, unless the user did.
func (e Env) limitMemory(cfg config.Config) {
	if e.get("GOMEMLIMIT") == "" {
		limit := int64(cfg.Memory) + baseMemory
		if cfg.Ephemeral {
			limit += int64(cfg.MaxDisk) // the records themselves
		}
		debug.SetMemoryLimit(limit)
	}
}

// baseMemory is what the Go runtime may use beside the budget, bytes. The promise
// is 64 MiB; the rest of it is for the binary's own pages, which the runtime does
// not count, and for what it holds beyond its limit while it collects.
const baseMemory = 12 << 20

// logger returns the server's own log.
func (e Env) logger(cfg config.Config, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.LogLevel.Slog()}
	_, tty := terminal(w)
	if cfg.LogFormat == config.FormatText || (cfg.LogFormat == config.FormatAuto && tty) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// waitAndStop runs a server until ctx ends or the server fails, and stops it in
// order.
func waitAndStop(ctx context.Context, cfg config.Config, srv *app.Server) error {
	select {
	case <-ctx.Done():
	case <-srv.Failed():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(cfg.Shutdown))
	defer cancel()
	return srv.Close(stop)
}

// banner says once how to use the server.
func (e Env) banner(cfg config.Config, srv *app.Server) {
	p := paint{on: e.color(e.Stdout)}
	var b strings.Builder
	line := func(label, text string) { fmt.Fprintf(&b, "  %s %s\n", p.dim(fmt.Sprintf("%-11s", label)), text) }
	fmt.Fprintf(&b, "%s ready in %s\n", p.bold("thalweg "+app.Version()), srv.StartTook().Round(100*time.Microsecond))
	a := srv.Addresses()
	if a.HTTP != "" {
		line("endpoint", p.bold(a.HTTP))
	}
	if a.HTTPS != "" {
		line("over TLS", a.HTTPS)
	}
	if a.HTTPS != "" && !config.IsLoopback(cfg.ListenTLS) {
		line("elsewhere", elsewhere(cfg.AdvertisedHosts(), a.HTTPS))
	}
	if a.Kafka != "" {
		line("kafka", a.Kafka)
	}
	if cfg.Ephemeral {
		line("data", "in memory")
	} else {
		line("data", srv.Data())
	}
	line("durability", cfg.Promise())
	line("auth", e.authText(cfg))
	for _, u := range cfg.Unsafe() {
		line(p.warn("UNSAFE"), p.warn(u))
	}
	next := e.nextCommands(cfg, srv.Data(), cmp.Or(a.HTTP, a.HTTPS))
	if why := srv.ReadOnly(); why != "" {
		line(p.warn("READ-ONLY"), p.warn(why))
		next = []string{"curl -s " + cmp.Or(a.HTTP, a.HTTPS) + "/_thalweg/health",
			e.program() + " verify " + shellQuote(srv.Data()) + "   # once this server has stopped"}
	}
	fmt.Fprintf(&b, "\n%s\n", p.dim("Next, in another terminal:"))
	for _, c := range next {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	io.WriteString(e.Stdout, b.String())
}

func (e Env) authText(cfg config.Config) string {
	if cfg.Auth == config.AuthStrict {
		return "strict: signatures are verified; keys are made with " + e.program() + " keys create"
	}
	return "open: any credentials are accepted, on loopback only"
}

// elsewhere says by which names other machines reach the TLS listener at url.
func elsewhere(advertised []string, url string) string {
	if len(advertised) == 0 {
		return "no name of this machine is in the certificate; add one with --advertise NAME"
	}
	port := url[strings.LastIndexByte(url, ':'):]
	names := make([]string, len(advertised))
	for i, name := range advertised {
		if _, _, err := net.SplitHostPort(name); err != nil {
			name += port
		}
		names[i] = "https://" + name
	}
	return strings.Join(names, ", ")
}

// nextCommands are what to paste after the start, in a directory where the
// program is called by the same name.
func (e Env) nextCommands(cfg config.Config, data, endpoint string) []string {
	var first []string
	if cfg.Auth == config.AuthStrict {
		first = append(first, "eval \"$("+e.program()+" keys create --account "+string(cfg.Account)+dataFlag(data)+")\"")
	}
	if strings.HasPrefix(endpoint, "https:") {
		first = append(first, e.program()+" trust"+dataFlag(data)+" > thalweg-ca.pem && export AWS_CA_BUNDLE=$PWD/thalweg-ca.pem")
	}
	return append(first,
		e.evalEnv(endpoint),
		e.program()+" stream create arena --shards 4"+endpointFlag(endpoint),
		"echo '{\"player\":\"ann\",\"score\":7}' | "+e.program()+" stream put arena --key player"+endpointFlag(endpoint),
	)
}

// dataFlag names a data directory, when there is one.
func dataFlag(dir string) string {
	if dir == "" {
		return ""
	}
	return " --data " + shellQuote(dir)
}

// evalEnv is the line that points a shell's AWS tools at an endpoint.
func (e Env) evalEnv(endpoint string) string {
	return "eval \"$(" + e.program() + " env" + endpointFlag(endpoint) + ")\""
}

// endpointFlag names an endpoint that is not the default.
func endpointFlag(endpoint string) string {
	if endpoint == defaultEndpoint {
		return ""
	}
	return " --endpoint " + endpoint
}

// shellQuote quotes s for a POSIX shell when it needs it.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-+:@%,=", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// paint colours text when on.
type paint struct{ on bool }

func (p paint) style(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
func (p paint) bold(s string) string { return p.style("1;36", s) }
func (p paint) dim(s string) string  { return p.style("2", s) }
func (p paint) warn(s string) string { return p.style("1;31", s) }

// utf8 tells whether the locale is one of UTF-8.
func (e Env) utf8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := e.get(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// mkdirTemp makes a directory for a run that keeps nothing.
func mkdirTemp() (string, error) { return os.MkdirTemp("", "thalweg-demo-") }
