// Package redshift delivers batches to PostgreSQL, by the Redshift kind of destination.
//
// Firehose loads Redshift by objects in S3 that a COPY statement names. A PostgreSQL
// server, which is what stands on one's own machines, has no such COPY: here the rows go
// down the connection, by COPY ... FROM STDIN, and nothing is put into the intermediate
// bucket. The options of the COPY command are those of Redshift that say how rows look
// (options.go). A JDBC URL of Redshift itself is refused.
//
// Exactly once: the transaction that loads a batch also writes which plan it was, and up
// to which offset of each partition, into the one row of the delivery stream:
//
//	CREATE TABLE thalweg_delivery (stream text PRIMARY KEY, plan text NOT NULL, offsets jsonb NOT NULL,
//	    rejected jsonb NOT NULL, at timestamptz NOT NULL)
//
// The row is locked first. A batch whose plan stands there is in the table already, but
// for what was rejected of it, which stands there too. A
// transaction that a dead server left behind holds the lock until it is decided. The user
// may have to be granted CREATE once, or the table made by hand.
//
// A batch is loaded in pieces of about 1 MiB, each in a savepoint: a row that the database
// refuses takes only its piece back, its record is rejected, and the piece is loaded again
// without it. Records are bytes one after the other, as in S3's objects: a row ends where
// a line does, in whichever record. With one that spans records all of these are rejected.
package redshift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"thalweg/internal/delivery/dest"
	"thalweg/internal/egress"
	"thalweg/internal/errs"
)

// Timeout is how long one delivery may take.
const Timeout = 15 * time.Minute

// Spec returns the Redshift kind of destination, whose connections go where the policy
// allows.
func Spec(p *egress.Policy) dest.Spec {
	return dest.Spec{
		Kind: "Redshift", Retry: time.Hour, ErrorType: "redshift-failed",
		Secrets: []string{"Password"},
		Defaults: `{"CloudWatchLoggingOptions":{"Enabled":false},"RetryOptions":{"DurationInSeconds":3600},` +
			`"S3BackupMode":"Disabled","ProcessingConfiguration":{"Enabled":false}}`,
		Host: func(c dest.Config) string {
			if t, err := parse(c); err == nil {
				return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
			}
			return ""
		},
		Check: func(c dest.Config) error {
			_, err := parse(c)
			return err
		},
		Open: func(c dest.Config, e dest.Env) (dest.Destination, error) {
			t, err := parse(c)
			if err != nil {
				return nil, err
			}
			if t.password != "" {
				if t.password, err = e.Secret(t.password); err != nil {
					return nil, err
				}
			}
			return &database{target: t, stream: e.Stream.ARN, dial: p.DialContext}, nil
		},
	}
}

// target is a configuration as it is used.
type target struct {
	host               string
	port               uint16
	database           string
	user, password     string
	table              string   // quoted
	columns            []string // not quoted; none for all of the table's
	format             format
	delimiter, null    string
	escape, ignoreCase bool
}

var (
	jdbc       = regexp.MustCompile(`^jdbc:(redshift|postgresql)://([A-Za-z0-9.-]+):([0-9]{1,5})/([A-Za-z0-9_$-]+)$`)
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,62}$`)
)

func invalid(format string, args ...any) error {
	return errs.New(errs.Invalid, fmt.Sprintf(format, args...))
}

func parse(c dest.Config) (t target, err error) {
	var cfg struct {
		ClusterJDBCURL, Username, Password string
		CopyCommand                        struct{ DataTableName, DataTableColumns, CopyOptions string }
		SecretsManagerConfiguration        *struct{ Enabled bool }
	}
	if err = json.Unmarshal(c, &cfg); err != nil {
		return t, err
	}
	m := jdbc.FindStringSubmatch(cfg.ClusterJDBCURL)
	switch {
	case m == nil:
		return t, invalid("The JDBC URL is not valid: %s", cfg.ClusterJDBCURL)
	case m[1] == "redshift":
		return t, invalid("Redshift itself is not supported: a JDBC URL must name a PostgreSQL database, jdbc:postgresql://HOST:PORT/DATABASE.")
	case cfg.SecretsManagerConfiguration != nil && cfg.SecretsManagerConfiguration.Enabled:
		return t, invalid("SecretsManagerConfiguration is not supported. Please specify Username and Password.")
	case cfg.Username == "":
		return t, invalid("Username must be specified.")
	}
	port, err := strconv.ParseUint(m[3], 10, 16)
	if err != nil || port == 0 {
		return t, invalid("The JDBC URL is not valid: %s", cfg.ClusterJDBCURL)
	}
	t = target{host: m[2], port: uint16(port), database: m[4], user: cfg.Username, password: cfg.Password}
	if t.table, err = quoted(cfg.CopyCommand.DataTableName, "."); err != nil {
		return t, err
	}
	if list := cfg.CopyCommand.DataTableColumns; strings.TrimSpace(list) != "" {
		for name := range strings.SplitSeq(list, ",") {
			name = strings.TrimSpace(name)
			if _, err = quoted(name, "\x00"); err != nil {
				return t, err
			}
			t.columns = append(t.columns, strings.ToLower(name))
		}
	}
	return t, t.parseOptions(cfg.CopyCommand.CopyOptions)
}

// quoted quotes a name, which may be of two parts, folded to lower case as the database
// does with those that are not quoted.
func quoted(name, separator string) (string, error) {
	parts := strings.Split(strings.ToLower(name), separator)
	if len(parts) > 2 {
		return "", invalid("The name of the table is not valid: %s", name)
	}
	for i, p := range parts {
		if !identifier.MatchString(p) {
			return "", invalid("The name of a table or column is not valid: %s", name)
		}
		parts[i] = `"` + p + `"`
	}
	return strings.Join(parts, "."), nil
}

// database is the destination. It connects for each delivery.
type database struct {
	target
	stream string
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Deliver loads the batch in one transaction.
func (d *database) Deliver(ctx context.Context, b dest.Batch) (dest.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	conn, err := d.connect(ctx)
	if err != nil {
		return dest.Result{}, classify(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	res, err := d.load(ctx, conn, b)
	if err != nil {
		return dest.Result{}, classify(err)
	}
	return res, nil
}

func (d *database) connect(ctx context.Context) (*pgconn.PgConn, error) {
	cfg, err := pgconn.ParseConfig("host=given port=1 user=given password=given dbname=given sslmode=prefer connect_timeout=10")
	if err != nil {
		return nil, err
	}
	// All is given, so that nothing of the environment is heeded.
	cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password = d.host, d.port, d.database, d.user, d.password
	cfg.DialFunc = d.dial
	// The dialler resolves the name, for it judges what that leads to.
	cfg.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	for _, f := range cfg.Fallbacks { // the same without TLS
		f.Host, f.Port = d.host, d.port
	}
	if cfg.TLSConfig != nil {
		cfg.TLSConfig.ServerName = d.host
	}
	cfg.RuntimeParams = map[string]string{"application_name": "thalweg", "client_encoding": "UTF8", "TimeZone": "UTC"}
	return pgconn.ConnectConfig(ctx, cfg)
}

// load writes the batch, unless it is there already.
func (d *database) load(ctx context.Context, conn *pgconn.PgConn, b dest.Batch) (res dest.Result, err error) {
	offsets := map[string]int64{}
	for _, r := range b.Ranges {
		offsets[fmt.Sprint(r.Partition)] = r.To
	}
	text, err := json.Marshal(offsets)
	if err != nil {
		return res, err
	}
	if err := d.makeTable(ctx, conn); err != nil {
		return res, err
	}
	if err := run(ctx, conn, "BEGIN"); err != nil {
		return res, err
	}
	if _, err := ask(ctx, conn, "INSERT INTO thalweg_delivery VALUES ($1, '', '{}', '[]', now()) ON CONFLICT DO NOTHING", d.stream); err != nil {
		return res, err
	}
	row, err := ask(ctx, conn, "SELECT plan, rejected FROM thalweg_delivery WHERE stream = $1 FOR UPDATE", d.stream)
	switch {
	case err != nil:
		return res, err
	case len(row) == 2 && row[0] == b.Plan:
		if err := json.Unmarshal([]byte(row[1]), &res.Rejected); err != nil {
			return res, err
		}
		return res, run(ctx, conn, "ROLLBACK")
	}
	l := loader{database: d, conn: conn}
	if err := l.prepare(ctx); err != nil {
		return res, err
	}
	if err := b.Records(ctx, func(r *dest.Record) error { return l.add(ctx, r) }); err != nil {
		return res, err
	}
	if err := l.finish(ctx); err != nil {
		return res, err
	}
	rejected, err := json.Marshal(append([]dest.Rejected{}, l.rejected...))
	if err != nil {
		return res, err
	}
	if _, err := ask(ctx, conn, "UPDATE thalweg_delivery SET plan = $2, offsets = $3, rejected = $4, at = now() WHERE stream = $1",
		d.stream, b.Plan, string(text), string(rejected)); err != nil {
		return res, err
	}
	res.Rejected = l.rejected
	return res, run(ctx, conn, "COMMIT")
}

// makeTable makes the table of delivery streams, if the user may and it is not there.
func (d *database) makeTable(ctx context.Context, conn *pgconn.PgConn) error {
	there, err := ask(ctx, conn, "SELECT to_regclass('thalweg_delivery') IS NOT NULL")
	if err != nil || len(there) == 1 && there[0] == "t" {
		return err
	}
	err = run(ctx, conn, "CREATE TABLE IF NOT EXISTS thalweg_delivery (stream text PRIMARY KEY, plan text NOT NULL, "+
		"offsets jsonb NOT NULL, rejected jsonb NOT NULL, at timestamptz NOT NULL)")
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42P07") { // another has made it meanwhile
		return nil
	}
	return err
}

func run(ctx context.Context, conn *pgconn.PgConn, sql string) error {
	_, err := conn.Exec(ctx, sql).ReadAll()
	return err
}

// ask runs a statement with text arguments and returns the first row of its answer.
func ask(ctx context.Context, conn *pgconn.PgConn, sql string, args ...string) ([]string, error) {
	in := make([][]byte, len(args))
	for i, a := range args {
		in[i] = []byte(a)
	}
	out := conn.ExecParams(ctx, sql, in, nil, nil, nil).Read()
	if out.Err != nil || len(out.Rows) == 0 {
		return nil, out.Err
	}
	var row []string
	for _, v := range out.Rows[0] {
		row = append(row, string(v))
	}
	return row, nil
}

// codes are what Firehose calls the database's errors.
var codes = map[string]string{
	"42P01": "Redshift.TableNotFound", "42703": "Redshift.ColumnNotFound", "3D000": "Redshift.DatabaseNotFound",
	"42501": "Redshift.InsufficientPrivilege", "25006": "Redshift.ReadOnlyCluster", "53100": "Redshift.DiskFull",
	"28000": "Redshift.AuthenticationFailed", "28P01": "Redshift.AuthenticationFailed", "42601": "Redshift.SyntaxError",
}

// classify makes the engine's error of the database's.
func classify(err error) error {
	var known *dest.Error
	if errors.Is(err, context.Canceled) || errors.As(err, &known) {
		return err
	}
	e := &dest.Error{Code: "Redshift.ConnectionFailed", Message: "The connection to the database has failed.", Err: err}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e.Code, e.Message = "Redshift.DataLoadFailed", "The database has refused the batch."
		if code := codes[pg.Code]; code != "" {
			e.Code = code
		}
		if strings.HasPrefix(pg.Code, "53") && pg.Code != "53100" { // out of connections, of memory
			e.Class = dest.Throttled
		}
	}
	return e
}
