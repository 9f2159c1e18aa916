package cli

import (
	"cmp"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"thalweg/internal/app"
)

func (e Env) envCmd() *cobra.Command {
	var shell, endpoint, region string
	c := &cobra.Command{Use: "env", Short: "Print the variables that point AWS tools at a server",
		Long: `Print the variables that point AWS SDKs, the AWS command line and thalweg itself at a
server, for a shell to evaluate. Credentials that are set already stay as they are.`,
		Example: "  eval \"$(thalweg env)\"", Args: exactly()}
	c.Flags().StringVar(&shell, "shell", "sh", "syntax: sh, fish or powershell")
	c.Flags().StringVar(&endpoint, "endpoint", "", "the server's `URL` (THALWEG_ENDPOINT; else "+defaultEndpoint+")")
	c.Flags().StringVar(&region, "region", "", "`REGION` (AWS_REGION; else us-east-1)")
	c.RunE = func(*cobra.Command, []string) error {
		t := target{env: e}
		t.opts.Endpoint = cmp.Or(endpoint, e.get("THALWEG_ENDPOINT"), defaultEndpoint)
		t.opts.Region = region
		if err := t.resolve(); err != nil {
			return err
		}
		forms := map[string]string{"sh": "export %s=%s\n", "fish": "set -gx %s %s\n", "powershell": "$env:%s = %s\n"}
		form, ok := forms[shell]
		if !ok {
			return usagef("", "--shell %q is none of sh, fish, powershell", shell)
		}
		// boto3 and version 1 of the AWS command line read AWS_DEFAULT_REGION only.
		vars := [][2]string{{"AWS_ENDPOINT_URL", t.opts.Endpoint}, {"AWS_REGION", t.opts.Region}, {"AWS_DEFAULT_REGION", t.opts.Region}}
		if e.get("AWS_ACCESS_KEY_ID") == "" {
			vars = append(vars, [2]string{"AWS_ACCESS_KEY_ID", "test"}, [2]string{"AWS_SECRET_ACCESS_KEY", "test"})
		}
		for _, v := range vars {
			value := shellQuote(v[1])
			if shell == "powershell" {
				value = "'" + v[1] + "'"
			}
			fmt.Fprintf(e.Stdout, form, v[0], value)
		}
		return nil
	}
	return c
}

func (e Env) versionCmd() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Example: "  thalweg version -o json", Args: exactly()}
	out := addOutput(c)
	c.RunE = func(*cobra.Command, []string) error {
		v := app.BuildInfo()
		return e.print(*out, v, func(w *tabwriter.Writer) {
			row(w, "thalweg "+v.Version)
			row(w, "commit", cmp.Or(v.Commit, "unknown"))
			row(w, "built with", v.Go+" for "+v.Platform)
			row(w, "data format", v.DataFormat)
		})
	}
	return c
}

func (e Env) completionCmd() *cobra.Command {
	return &cobra.Command{Use: "completion SHELL", Short: "Print a completion script for bash, zsh, fish or powershell",
		Example: "  thalweg completion bash > /etc/bash_completion.d/thalweg", Args: exactly("a SHELL"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(e.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(e.Stdout)
			case "fish":
				return root.GenFishCompletion(e.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(e.Stdout)
			}
			return usagef("write bash, zsh, fish or powershell", "there is no completion for %q", args[0])
		}}
}
