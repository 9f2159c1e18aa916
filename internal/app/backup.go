package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"thalweg/internal/delivery/files"
	"thalweg/internal/errs"
	"thalweg/internal/identity"
	"thalweg/internal/log/disk"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/vfs"
)

// sideFiles are what a data directory holds beside the log. The first is needed:
// without it nothing that is sealed can be read.
func sideFiles() []string {
	return []string{"keystore", "ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}
}

// maxSideFile bounds each of them, in bytes.
const maxSideFile = 1 << 20

// Backup copies the data directory, as it is at one moment during the call, to
// dest, which must be empty or absent, while the server goes on. The copy holds
// the keystore: whoever can read it can read the access keys' secrets.
func (s *Server) Backup(ctx context.Context, dest string) error {
	if s.data == "" {
		return &errs.Error{Kind: errs.Unsupported, Msg: "a server in memory has no data directory to back up"}
	}
	if !filepath.IsAbs(dest) {
		return errs.New(errs.Invalid, "the backup's directory must be an absolute path")
	}
	if err := s.backupData(ctx, dest); err != nil {
		return err
	}
	return copySideFiles(s.fs, s.data, dest)
}

func (s *Server) backupData(ctx context.Context, dest string) (err error) {
	if s.batches != nil { // a server that delivers: of every batch under way in the copy, the file must be there
		release := s.batches.Hold()
		defer func() { err = errors.Join(err, release()) }()
	}
	if err := s.log.Backup(ctx, s.fs, dest); err != nil {
		return err
	}
	// The objects come after the log: what it says is delivered is among them.
	if err := objfs.Backup(s.fs, s.data+objectsDir, dest+objectsDir); err != nil {
		return err
	}
	return files.Backup(s.fs, s.data+deliveryDir, dest+deliveryDir)
}

// Restore makes a data directory of a backup. dest must be empty or absent.
func Restore(fsys vfs.FS, backup, dest string) error {
	keys, err := identity.ReadKeystore(fsys, backup)
	if errors.Is(err, fs.ErrNotExist) {
		return &errs.Error{Kind: errs.Corrupt, Op: "restore " + backup, Msg: "the backup has no keystore, it was not finished",
			Hint: "use another backup", Err: err}
	}
	if err != nil {
		return err
	}
	if err := disk.Restore(fsys, backup, dest, keys); err != nil {
		return err
	}
	if err := objfs.Backup(fsys, backup+objectsDir, dest+objectsDir); err != nil {
		return err
	}
	if err := files.Backup(fsys, backup+deliveryDir, dest+deliveryDir); err != nil {
		return err
	}
	return copySideFiles(fsys, backup, dest)
}

func copySideFiles(fsys vfs.FS, from, to string) error {
	names := sideFiles()
	for i := len(names) - 1; i >= 0; i-- { // the needed one last: it marks the end
		b, err := vfs.ReadFile(fsys, from+"/"+names[i], maxSideFile)
		if errors.Is(err, fs.ErrNotExist) && i > 0 {
			continue
		}
		if err == nil {
			err = vfs.WriteFile(fsys, to, names[i], b, 0o600)
		}
		if err != nil {
			return fmt.Errorf("copy %s: %w", names[i], err)
		}
	}
	return nil
}
