package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"thalweg/internal/app"
	"thalweg/internal/config"
	"thalweg/internal/identity"
)

func (e Env) keysCmd() *cobra.Command {
	k := &keyring{env: e}
	c := group("keys", "Make, list, disable and delete access keys",
		"  thalweg keys create --account 123456789012\n  thalweg keys ls",
		k.create(), k.ls(), k.disable(), k.remove())
	c.Long = `Make, list, disable and delete access keys. The commands work on a running server's
data directory through that server, and on any other by opening it.`
	c.PersistentFlags().StringVar(&k.data, "data", "", "`DIR` of the data (THALWEG_DATA; else "+config.DefaultData(e.Lookup)+")")
	addOutputTo(c.PersistentFlags(), &k.out)
	return c
}

// keyring is where keys are kept: a running server, or a data directory.
type keyring struct {
	env  Env
	data string
	out  format
}

// keyStore is what can be done to keys.
type keyStore interface {
	create(ctx context.Context, k app.NewKey) (app.NewKeyInfo, error)
	list(ctx context.Context) ([]app.KeyInfo, error)
	setState(ctx context.Context, id string, s identity.State) error
	remove(ctx context.Context, id string) error
}

// with opens the keys, runs fn, and closes them.
func (k *keyring) with(ctx context.Context, fn func(keyStore) error) error {
	return k.env.administer(ctx, k.data,
		func(a *admin) error { return fn(remoteKeys{a}) },
		func(srv *app.Server) error { return fn(localKeys{srv.Keys()}) })
}

func (k *keyring) create() *cobra.Command {
	var in app.NewKey
	c := &cobra.Command{Use: "create", Short: "Make an access key; its secret is shown this once",
		Example: "  thalweg keys create --account 123456789012 --user ann", Args: exactly()}
	c.Flags().StringVar(&in.Account, "account", "000000000000", "`ACCOUNT` of 12 digits that the key belongs to")
	c.Flags().StringVar(&in.User, "user", identity.Root, "`NAME` of the user that the key is for")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var account config.Account
		if err := account.Set(in.Account); err != nil {
			return &usageError{msg: "--account: " + err.Error()}
		}
		return k.with(c.Context(), func(s keyStore) error {
			key, err := s.create(c.Context(), in)
			if err != nil {
				return err
			}
			return k.env.print(k.out, key, func(w *tabwriter.Writer) {
				fmt.Fprintf(w, "export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", shellQuote(key.AccessKeyID), shellQuote(key.SecretAccessKey))
				w.Flush()
				fmt.Fprintf(k.env.Stderr, "for %s in account %s; the secret is not shown again\n", key.Principal, key.Account)
			})
		})
	}
	return c
}

func (k *keyring) ls() *cobra.Command {
	return &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List access keys", Example: "  thalweg keys ls -o json", Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return k.with(c.Context(), func(s keyStore) error {
				list, err := s.list(c.Context())
				if err != nil {
					return err
				}
				return k.env.print(k.out, list, func(w *tabwriter.Writer) {
					row(w, "KEY", "ACCOUNT", "PRINCIPAL", "STATE", "CREATED")
					for _, key := range list {
						row(w, key.AccessKeyID, key.Account, key.Principal, key.State, key.Created.Format(time.RFC3339))
					}
				})
			})
		}}
}

func (k *keyring) disable() *cobra.Command {
	var undo bool
	c := &cobra.Command{Use: "disable KEY", Short: "Refuse a key from the next request on", Example: "  thalweg keys disable AKIAIOSFODNN7EXAMPLE", Args: exactly("a KEY")}
	c.Flags().BoolVar(&undo, "undo", false, "accept the key again")
	c.RunE = func(c *cobra.Command, args []string) error {
		state := identity.Disabled
		if undo {
			state = identity.Enabled
		}
		return k.with(c.Context(), func(s keyStore) error {
			if err := s.setState(c.Context(), args[0], state); err != nil {
				return err
			}
			return k.done(string(state), args[0])
		})
	}
	return c
}

func (k *keyring) remove() *cobra.Command {
	return &cobra.Command{Use: "delete KEY", Short: "Forget a key", Example: "  thalweg keys delete AKIAIOSFODNN7EXAMPLE", Args: exactly("a KEY"),
		RunE: func(c *cobra.Command, args []string) error {
			return k.with(c.Context(), func(s keyStore) error {
				if err := s.remove(c.Context(), args[0]); err != nil {
					return err
				}
				return k.done("deleted", args[0])
			})
		}}
}

func (k *keyring) done(what, id string) error {
	return k.env.print(k.out, map[string]string{what: id}, func(w *tabwriter.Writer) { row(w, what+" "+id) })
}

// localKeys are those of a data directory that this process has opened.
type localKeys struct{ keys *identity.Keys }

func (l localKeys) create(ctx context.Context, in app.NewKey) (app.NewKeyInfo, error) {
	key, secret, err := l.keys.Create(ctx, in.Account, in.User)
	if err != nil {
		return app.NewKeyInfo{}, err
	}
	return app.NewKeyInfo{KeyInfo: app.Describe(key), SecretAccessKey: secret.Reveal()}, nil
}

func (l localKeys) list(context.Context) ([]app.KeyInfo, error) {
	list := []app.KeyInfo{}
	for _, k := range l.keys.List() {
		list = append(list, app.Describe(k))
	}
	return list, nil
}

func (l localKeys) setState(ctx context.Context, id string, s identity.State) error {
	return l.keys.SetState(ctx, id, s)
}
func (l localKeys) remove(ctx context.Context, id string) error { return l.keys.Delete(ctx, id) }

// remoteKeys are those of a running server.
type remoteKeys struct{ *admin }

func (r remoteKeys) create(ctx context.Context, in app.NewKey) (out app.NewKeyInfo, err error) {
	err = r.call(ctx, http.MethodPost, "keys", in, &out)
	return out, err
}

func (r remoteKeys) list(ctx context.Context) (out []app.KeyInfo, err error) {
	err = r.call(ctx, http.MethodGet, "keys", nil, &out)
	return out, err
}

func (r remoteKeys) setState(ctx context.Context, id string, s identity.State) error {
	return r.call(ctx, http.MethodPost, "keys/"+url.PathEscape(id)+"/"+string(s), nil, &struct{}{})
}

func (r remoteKeys) remove(ctx context.Context, id string) error {
	return r.call(ctx, http.MethodDelete, "keys/"+url.PathEscape(id), nil, &struct{}{})
}
