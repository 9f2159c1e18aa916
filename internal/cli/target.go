package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"thalweg/internal/client"
	"thalweg/internal/config"
)

// target is the server that a command talks to.
type target struct {
	env  Env
	opts client.Options
	ca   string
	out  format
}

const defaultEndpoint = "http://127.0.0.1:4566"

// flags adds the flags that name a server.
func (t *target) flags(c *cobra.Command) { t.flagsTo(c.PersistentFlags()) }

// flagsOf adds them to one command of a group.
func (t *target) flagsOf(c *cobra.Command) { t.flagsTo(c.Flags()) }

func (t *target) flagsTo(fs *pflag.FlagSet) {
	fs.StringVar(&t.opts.Endpoint, "endpoint", "", "the server's `URL` (AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, THALWEG_ENDPOINT; else "+defaultEndpoint+")")
	fs.StringVar(&t.opts.Region, "region", "", "`REGION` (AWS_REGION, AWS_DEFAULT_REGION; else us-east-1)")
	fs.StringVar(&t.ca, "ca", "", "certificate authority `FILE` to trust (AWS_CA_BUNDLE; thalweg trust writes one)")
	addOutputTo(fs, &t.out)
}

// resolve fills in from the environment what no flag gave.
func (t *target) resolve() error {
	e := t.env
	t.opts.Endpoint = cmp.Or(t.opts.Endpoint, e.get("AWS_ENDPOINT_URL_KINESIS"), e.get("AWS_ENDPOINT_URL"), e.get("THALWEG_ENDPOINT"), defaultEndpoint)
	u, err := url.Parse(t.opts.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return usagef("write http://HOST:PORT or https://HOST:PORT", "%q is not an endpoint", t.opts.Endpoint)
	}
	var region config.Region
	if err := region.Set(cmp.Or(t.opts.Region, e.get("AWS_REGION"), e.get("AWS_DEFAULT_REGION"), "us-east-1")); err != nil {
		return &usageError{msg: err.Error()}
	}
	t.opts.Region = string(region)
	t.opts.AccessKeyID = e.get("AWS_ACCESS_KEY_ID")
	t.opts.SecretAccessKey = e.get("AWS_SECRET_ACCESS_KEY")
	t.opts.SessionToken = e.get("AWS_SESSION_TOKEN")
	if t.opts.AccessKeyID == "" {
		t.opts.AccessKeyID, t.opts.SecretAccessKey = "test", "test"
	}
	if file := cmp.Or(t.ca, e.get("AWS_CA_BUNDLE")); file != "" {
		if t.opts.CA, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	return nil
}

// dial returns a client of the resolved target.
func (t *target) dial() (*client.Client, error) {
	if err := t.resolve(); err != nil {
		return nil, err
	}
	return client.New(t.opts)
}

// run wraps a command's work: it makes the client and explains errors.
func (t *target) run(fn func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := t.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		return t.explain(fn(cmd.Context(), c, args))
	}
}

// onStream is run for commands whose first argument names a stream: a name that
// does not exist brings up the nearest that does.
func (t *target) onStream(fn func(ctx context.Context, c *client.Client, name string) error) func(*cobra.Command, []string) error {
	return t.run(func(ctx context.Context, c *client.Client, args []string) error {
		err := fn(ctx, c, args[0])
		if client.Code(err) != "ResourceNotFoundException" {
			return err
		}
		f := &failure{msg: "there is no stream " + args[0] + " in " + t.opts.Region + " at " + t.opts.Endpoint,
			hint: "make it with: " + t.env.program() + " stream create " + args[0]}
		if names, lerr := streamNames(ctx, c); lerr == nil {
			if near := config.Nearest(args[0], names); near != "" && near != args[0] {
				f.hint = "did you mean " + near + "?"
			} else if slices.Contains(names, args[0]) {
				return err // something else was not found
			}
		}
		return f
	})
}

func streamNames(ctx context.Context, c *client.Client) ([]string, error) {
	var names []string
	in := &kinesis.ListStreamsInput{}
	for {
		out, err := c.ListStreams(ctx, in)
		if err != nil {
			return nil, err
		}
		names = append(names, out.StreamNames...)
		if out.NextToken == nil || len(names) > 10_000 {
			return names, nil
		}
		in.NextToken = out.NextToken
	}
}

// inOrder asks the server whether it stops storing a shard's records within a
// call at the first that it refuses. A server that does not say so does not.
func (t *target) inOrder(ctx context.Context, c *client.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.opts.Endpoint+"/_thalweg/health", nil)
	if err != nil {
		return false
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var health struct {
		Guarantees []string `json:"guarantees"`
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(&health) != nil {
		return false
	}
	return slices.Contains(health.Guarantees, "put-records-in-shard-order")
}
