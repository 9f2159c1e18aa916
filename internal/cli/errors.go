package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"thalweg/internal/client"
	"thalweg/internal/config"
	"thalweg/internal/errs"
)

// usageError is a command line that makes no sense: exit code 2.
type usageError struct {
	msg  string
	hint string
}

func (e *usageError) Error() string { return e.msg }

func usagef(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// failure is an error with the way out on a line of its own: exit code 1.
type failure struct {
	msg  string
	hint string
	err  error
}

func (e *failure) Error() string {
	switch {
	case e.err == nil:
		return e.msg
	case e.msg == "":
		return e.err.Error()
	}
	return e.msg + ": " + e.err.Error()
}
func (e *failure) Unwrap() error { return e.err }

// complain prints err, cause first, then the fix, and returns the exit code.
func (e Env) complain(err error) int {
	msg, hint, code := err.Error(), "", 1
	var usage *usageError
	var fail *failure
	var known *errs.Error
	switch {
	case errors.As(err, &usage):
		hint, code = usage.hint, 2
	case errors.As(err, &fail):
		hint = fail.hint
	case errors.As(err, &known) && known.Hint != "":
		hint = known.Hint
		msg = strings.Replace(msg, " ("+hint+")", "", 1)
	case errors.Is(err, context.Canceled):
		msg = "interrupted"
	}
	fmt.Fprintf(e.Stderr, "thalweg: %s\n", msg)
	if hint != "" {
		fmt.Fprintf(e.Stderr, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
	return code
}

// flagError turns a flag that could not be read into a usage error that names
// the nearest flag there is.
func flagError(c *cobra.Command, err error) error {
	hint := "see " + c.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return &usageError{err.Error(), hint}
}

// subcommandNeeded refuses anything that is not a subcommand.
func subcommandNeeded(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	hint := "see " + c.CommandPath() + " --help"
	if near := config.Nearest(args[0], names); near != "" {
		hint = "did you mean " + c.CommandPath() + " " + near + "?"
	}
	return usagef(hint, "there is no command %q in %s", args[0], c.CommandPath())
}

// exactly wants the named arguments, no more and no fewer.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		hint := strings.TrimSpace("for example:\n" + strings.TrimSpace(firstLine(c.Example)))
		switch {
		case len(args) < len(names):
			return usagef(hint, "%s needs %s", c.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usagef(hint, "%s does not take %q", c.CommandPath(), args[len(names)])
		}
		return nil
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// explain turns an error of a call into one that says what to do. What was said
// around the call's own error stays.
func (t target) explain(err error) error {
	var call *smithy.OperationError
	if !errors.As(err, &call) {
		return err
	}
	before, _ := strings.CutSuffix(err.Error(), call.Error())
	f := t.explainCall(call)
	f.msg = before + f.msg
	return f
}

func (t target) explainCall(err *smithy.OperationError) *failure {
	if client.Unreachable(err) {
		return &failure{msg: "no server answers at " + t.opts.Endpoint, hint: "start one with: " + t.env.program() + " serve\nor name another with --endpoint URL"}
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return &failure{msg: "the certificate of " + t.opts.Endpoint + " is not trusted", err: untrusted.Err,
			hint: "trust the authority of the server's data directory: " + t.env.program() + " trust --data DIR > ca.pem\nand name it with --ca ca.pem; other host names than localhost need serve --advertise NAME"}
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return &failure{msg: err.Error()}
	}
	f := &failure{msg: api.ErrorMessage()}
	if f.msg == "" {
		f.msg = api.ErrorCode()
	}
	switch code := api.ErrorCode(); code {
	case "ResourceNotFoundException":
		f.hint = "see what there is: " + t.env.program() + " stream ls"
	case "ResourceInUseException", "InvalidArgumentException", "ValidationException", "LimitExceededException":
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignature",
		"MissingAuthenticationTokenException", "AccessDeniedException", "SignatureDoesNotMatch":
		f.msg = code + ": " + f.msg
		f.hint = "the key is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; make one with: " + t.env.program() + " keys create"
	default:
		f.msg = code + ": " + f.msg
	}
	return f
}
