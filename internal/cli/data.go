package cli

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"thalweg/internal/app"
	"thalweg/internal/config"
	"thalweg/internal/identity"
	"thalweg/internal/log/disk"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/vfs"
)

// caFile is the certificate authority's file in a data directory.
const caFile = "ca.pem"

func (e Env) trustCmd() *cobra.Command {
	var data string
	c := &cobra.Command{Use: "trust", Short: "Print the certificate authority that clients must trust for TLS",
		Long: `Print the certificate authority of a data directory, in PEM. Clients that trust it
accept the server's TLS certificate.`,
		Example: "  thalweg trust > thalweg-ca.pem && export AWS_CA_BUNDLE=$PWD/thalweg-ca.pem", Args: exactly()}
	c.Flags().StringVar(&data, "data", "", "`DIR` of the data (THALWEG_DATA; else "+config.DefaultData(e.Lookup)+")")
	c.RunE = func(*cobra.Command, []string) error {
		dir := e.dataDir(data)
		pem, err := os.ReadFile(filepath.Join(dir, caFile))
		if errors.Is(err, os.ErrNotExist) {
			return &failure{msg: "there is no certificate authority in " + dir, hint: "a server makes one when it first starts with TLS: " + e.program() + " serve --data " + shellQuote(dir)}
		}
		if err != nil {
			return err
		}
		_, err = e.Stdout.Write(pem)
		return err
	}
	return c
}

// verifyResult is what `thalweg verify` prints as JSON.
type verifyResult struct {
	Dir        string   `json:"dir"`
	OK         bool     `json:"ok"`
	Clean      bool     `json:"closed_in_order"`
	Format     int      `json:"data_format"`
	Partitions int      `json:"partitions"`
	Files      int      `json:"files"`
	Frames     int64    `json:"frames"`
	Encrypted  int64    `json:"encrypted_frames"`
	Decrypted  int64    `json:"decrypted_frames"`
	Bytes      int64    `json:"bytes"`
	Objects    int      `json:"objects"`
	Stored     int64    `json:"object_bytes"`
	Cuts       []string `json:"torn_ends"`
	Damage     []string `json:"damage"`
}

func (e Env) verifyCmd() *cobra.Command {
	c := &cobra.Command{Use: "verify DIR", Short: "Read and check everything in a data directory",
		Long: `Read and check everything in a data directory that no server has open. Nothing is
changed or removed. Objects of buckets are read against their checksums, too. What is encrypted is opened with the directory's keystore; where
there is none, its checksums are checked alone. Damage is named by file, byte range and offsets, and is exit
code 1. A torn end is what a crash left of a write that was never acknowledged; the
next start drops it.`,
		Example: "  thalweg verify ./data", Args: exactly("a DIR")}
	out := addOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		dir, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if _, err := os.Stat(dir); err != nil {
			return &failure{msg: "there is no data directory " + dir}
		}
		var keys disk.Keys // a nil interface where there is no keystore
		store, err := identity.ReadKeystore(vfs.OS{}, dir)
		if err == nil {
			keys = store
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		report, err := disk.Verify(vfs.OS{}, dir, keys)
		if err != nil {
			return err
		}
		r := verifyResult{Dir: dir, OK: report.OK(), Clean: report.Clean, Format: report.Version, Partitions: report.Partitions,
			Files: report.Files, Frames: report.Frames, Bytes: report.Bytes, Encrypted: report.Encrypted, Decrypted: report.Decrypted, Cuts: []string{}, Damage: []string{}}
		objects, err := objfs.Verify(vfs.OS{}, dir+"/objects")
		if err != nil {
			return err
		}
		r.OK, r.Objects, r.Stored = r.OK && len(objects.Damage) == 0, objects.Files, objects.Bytes
		for _, cut := range report.Cuts {
			r.Cuts = append(r.Cuts, cut.String())
		}
		for _, d := range report.Damage {
			r.Damage = append(r.Damage, d.String())
		}
		r.Damage = append(r.Damage, objects.Damage...)
		err = e.print(*out, r, func(w *tabwriter.Writer) {
			row(w, fmt.Sprintf("read %s in %s of %s: %s", sizeText(r.Bytes), plural(int(r.Frames), "frame"), plural(r.Files, "file"), plural(r.Partitions, "partition")))
			if r.Objects > 0 {
				row(w, fmt.Sprintf("read %s in %s", sizeText(r.Stored), plural(r.Objects, "object")))
			}
			switch {
			case r.Encrypted > 0 && keys == nil:
				row(w, fmt.Sprintf("encrypted: %s, not opened, as there is no keystore", plural(int(r.Encrypted), "frame")))
			case r.Encrypted > 0:
				row(w, fmt.Sprintf("encrypted: %s, of which the keystore's keys open %d", plural(int(r.Encrypted), "frame"), r.Decrypted))
			}
			for _, t := range r.Cuts {
				row(w, "torn end, not acknowledged: "+t)
			}
			for _, d := range r.Damage {
				row(w, "DAMAGE: "+d)
			}
			if r.OK {
				row(w, "no damage")
			}
		})
		if err == nil && !r.OK {
			return &failure{msg: plural(len(r.Damage), "damaged place") + " in " + dir,
				hint: "nothing was changed; restore a backup with: " + e.program() + " restore BACKUP DIR"}
		}
		return err
	}
	return c
}

func (e Env) backupCmd() *cobra.Command {
	var data string
	c := &cobra.Command{Use: "backup DEST", Short: "Copy a data directory, also while its server runs",
		Long: `Copy a data directory, as it is at one moment, to DEST, which must be empty or not
exist. Its server, if one runs, goes on. The copy holds the keystore: whoever reads
it can read the secrets of the access keys.`,
		Example: "  thalweg backup --data ./data /backups/monday", Args: exactly("a DEST")}
	c.Flags().StringVar(&data, "data", "", "`DIR` of the data (THALWEG_DATA; else "+config.DefaultData(e.Lookup)+")")
	out := addOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		dest, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		ctx := c.Context()
		err = e.administer(ctx, data,
			func(a *admin) error {
				return a.call(ctx, http.MethodPost, "backup", app.BackupTo{Dir: dest}, &struct{}{})
			},
			func(srv *app.Server) error { return srv.Backup(ctx, dest) })
		if err != nil {
			return err
		}
		return e.print(*out, map[string]string{"backup": dest}, func(w *tabwriter.Writer) { row(w, "backed up to "+dest) })
	}
	return c
}

func (e Env) restoreCmd() *cobra.Command {
	c := &cobra.Command{Use: "restore BACKUP DIR", Short: "Make a data directory of a backup",
		Long:    `Check a backup and copy it to DIR, which must be empty or not exist.`,
		Example: "  thalweg restore /backups/monday ./data", Args: exactly("a BACKUP", "a DIR")}
	out := addOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		var dirs [2]string
		for i, a := range args {
			var err error
			if dirs[i], err = filepath.Abs(a); err != nil {
				return err
			}
		}
		if err := app.Restore(vfs.OS{}, dirs[0], dirs[1]); err != nil {
			return err
		}
		return e.print(*out, map[string]string{"restored": dirs[1]}, func(w *tabwriter.Writer) {
			row(w, "restored "+dirs[1]+"; serve it with: "+e.program()+" serve --data "+shellQuote(dirs[1]))
		})
	}
	return c
}
