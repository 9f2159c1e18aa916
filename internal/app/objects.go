package app

import (
	"context"

	"thalweg/internal/iceberg"
	"thalweg/internal/lake"
	objfs "thalweg/internal/objstore/fs"
	"thalweg/internal/s3"
)

// objectsDir is where the objects are in a data directory.
const objectsDir = "/objects"

// startObjects opens the object store. It shares the bound on the disk, or in memory
// the records' half of it, with the log.
func startObjects(_ context.Context, s *Server) (err error) {
	s.objects, err = objfs.Open(objfs.Options{FS: s.fs, Dir: s.dir() + objectsDir, Clock: s.clock, MaxBytes: s.maxDisk,
		Others: func() int64 { return s.log.Stats().DiskBytes }, Used: &s.stored})
	return err
}

// newS3 makes the door to it.
func (s *Server) newS3() *s3.Door {
	hosts := s.cfg.AdvertisedHosts()
	for i, h := range hosts {
		hosts[i] = hostOnly(h)
	}
	return s3.New(s3.Options{Store: s.objects, Auth: s.auth, Budget: s.budget, Clock: s.clock, Log: s.logger, Region: string(s.cfg.Region),
		Hosts: hosts, Observer: s.metrics})
}

// lakeShare is the part of the memory that its names and places may take.
const lakeShare = 32

func startLake(ctx context.Context, s *Server) (err error) {
	s.lake, err = lake.Open(ctx, lake.Options{Log: s.log, Partition: metadata(lakeIndex), Clock: s.clock, Objects: s.objects,
		Memory: s.budget, MaxBytes: int64(s.cfg.Memory) / lakeShare})
	return err
}

func (s *Server) newIceberg() *iceberg.Door {
	return iceberg.New(iceberg.Options{Catalog: s.lake, Auth: s.auth, Budget: s.budget, Clock: s.clock, Log: s.logger, Observer: s.metrics})
}
