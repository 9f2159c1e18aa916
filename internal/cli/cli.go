// Package cli is the command line: flags and texts around the packages that do
// the work. Commands on streams talk to a server over HTTP; commands on a data
// directory open it themselves.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage. Results go to standard output,
// everything else to standard error. Nothing moves and nothing is coloured when
// the stream is no terminal.
package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"thalweg/internal/app"
	"thalweg/internal/clock"
	"thalweg/internal/config"
)

// Env is what commands see of the world.
type Env struct {
	// Program is the name that the process was called by, which stands in what is
	// printed to be pasted; "" is thalweg.
	Program        string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Lookup         config.Env
	Clock          clock.Clock
}

// Main runs the process's command line and returns its exit code. SIGINT and
// SIGTERM end the command in order; a second one ends the process.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal finds the default action
	return Run(ctx, os.Args[1:], Env{Program: os.Args[0], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Lookup: config.OSEnv, Clock: clock.System()})
}

// Run runs one command line.
func Run(ctx context.Context, args []string, env Env) int {
	root := newRoot(env)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	return env.complain(err)
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "thalweg",
		Short: "Durable streams that speak Amazon Kinesis and Apache Kafka",
		Long: `Thalweg is a durable streaming server that speaks Amazon Kinesis and Apache Kafka,
in one binary.
Start one with "thalweg serve", see one at work with "thalweg demo".`,
		Example:           "  thalweg serve",
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              subcommandNeeded,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: env.program()}
	root.Version = app.Version()
	root.SetVersionTemplate("thalweg {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		env.serveCmd(), env.demoCmd(),
		env.streamCmd(), env.topicCmd(), env.firehoseCmd(), env.keysCmd(),
		env.verifyCmd(), env.backupCmd(), env.restoreCmd(),
		env.trustCmd(), env.envCmd(), env.versionCmd(), env.completionCmd(),
	)
	env.nameExamples(root)
	return root
}

// program is how to call the program again from where it was called, for a shell.
func (e Env) program() string { return shellQuote(cmp.Or(e.Program, "thalweg")) }

// nameExamples makes the examples of a command and of those below it call the
// program as it was called.
func (e Env) nameExamples(c *cobra.Command) {
	c.Example = strings.ReplaceAll(c.Example, "thalweg ", e.program()+" ")
	for _, sub := range c.Commands() {
		e.nameExamples(sub)
	}
}

// group returns a command that only holds others.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: subcommandNeeded,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(commands...)
	return c
}

// terminal returns the terminal behind w, if there is one.
func terminal(w any) (fd int, ok bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// get returns a variable's value, "" when it is not set.
func (e Env) get(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// color tells whether w takes colours: https://no-color.org and a terminal.
func (e Env) color(w any) bool {
	_, ok := terminal(w)
	return ok && e.get("NO_COLOR") == "" && e.get("TERM") != "dumb"
}
