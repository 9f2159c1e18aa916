package app

import (
	"runtime"
	"runtime/debug"

	"thalweg/internal/log/disk"
)

// Build says what was built, from what, and by what.
type Build struct {
	Version    string `json:"version"`
	Commit     string `json:"commit"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	DataFormat int    `json:"data_format"`
}

// BuildInfo returns what is known of this binary.
func BuildInfo() Build {
	b := Build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, DataFormat: disk.FormatVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = " with changes"
			}
		}
	}
	b.Commit += dirty
	return b
}

// Version returns the version of this binary.
func Version() string { return BuildInfo().Version }
