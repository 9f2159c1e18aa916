// Package postgres runs a real PostgreSQL for tests: Debian's, in a directory of its own.
package postgres

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is one PostgreSQL. It ends with the test.
type Server struct {
	t    testing.TB
	bin  string
	dir  string
	Port int
	cred *syscall.Credential
}

// Start makes a database "game" whose user "thalweg" has the password "secret" and may
// everything in it.
func Start(t testing.TB) *Server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatal("PostgreSQL is not installed: apt-get install postgresql")
	}
	s := &Server{t: t, bin: found[len(found)-1]}
	if s.dir, err = os.MkdirTemp("", "thalweg-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	if os.Getuid() == 0 { // it does not run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(s.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	s.run("initdb", "-D", s.dir+"/data", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	hba := "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(s.dir+"/data/pg_hba.conf", []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Up()
	t.Cleanup(func() { s.pgctl("stop", "-m", "immediate") })
	s.Query("CREATE ROLE thalweg LOGIN PASSWORD 'secret'")
	s.Query("CREATE DATABASE game OWNER thalweg")
	return s
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	c.Env = append(os.Environ(), "LC_ALL=C", "PGCONNECT_TIMEOUT=10")
	return c
}

func (s *Server) run(name string, args ...string) string {
	s.t.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func (s *Server) pgctl(args ...string) error {
	c := s.command("pg_ctl", append(args, "-D", s.dir+"/data", "-w", "-t", "60")...)
	var out bytes.Buffer
	log, err := os.Create(filepath.Join(s.dir, "pg_ctl.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log // a pipe would stay open in the server
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("pg_ctl %s: %w\n%s%s", args[0], err, out.String(), text)
	}
	return nil
}

// Up starts the server and waits until it answers.
func (s *Server) Up() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) start() error {
	err := s.pgctl("start", "-l", s.dir+"/server.log", "-o",
		fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", s.Port, s.dir))
	if err != nil {
		text, _ := os.ReadFile(s.dir + "/server.log")
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}

// Kill ends the server as a crash would: what is not committed is gone.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.pgctl("stop", "-m", "immediate"); err != nil {
		s.t.Fatal(err)
	}
}

// Crash kills the server and starts it again.
func (s *Server) Crash() error {
	if err := s.pgctl("stop", "-m", "immediate"); err != nil {
		return err
	}
	return s.start()
}

// Query runs SQL in psql and returns its rows, a line each, fields between bars. Statements
// in the database "game" name it: \c game first.
func (s *Server) Query(sql string) string {
	s.t.Helper()
	database := "postgres"
	if rest, ok := strings.CutPrefix(sql, "\\c game\n"); ok {
		database, sql = "game", rest
	}
	return strings.TrimSpace(s.run("psql", "-h", s.dir, "-p", strconv.Itoa(s.Port), "-U", "postgres", "-d", database,
		"-v", "ON_ERROR_STOP=1", "-X", "-A", "-t", "-q", "-c", sql))
}

// In runs SQL in the database "game" as its owner.
func (s *Server) In(sql string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("psql", "-h", s.dir, "-p", strconv.Itoa(s.Port), "-U", "thalweg", "-d", "game",
		"-v", "ON_ERROR_STOP=1", "-X", "-A", "-t", "-q", "-c", sql))
}

// Await waits until SQL in the database "game" answers want.
func (s *Server) Await(sql, want string, patience time.Duration) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := s.In(sql)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %s, want %s", sql, got, want)
		}
	}
}
