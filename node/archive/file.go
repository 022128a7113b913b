package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/setup"
)

// Position is a place in a history, Time a time in milliseconds since 1970, and State what a
// cluster has at a position.
type (
	Position = event.Position
	Time     = identity.Time
	State    = identity.State
)

// Places are where single archives are: at a path, or at the URL of an object in the store that S3
// names, s3://BUCKET/KEY.
type Places struct{ S3 bucket.Config }

// Create has write make an archive at a place, durably, which must not be there yet: the error is
// fs.ErrExist where it is. If it fails, there is no such archive.
func (p Places) Create(ctx context.Context, at string, write func(io.Writer) error) error {
	if !bucket.Is(at) {
		return toFile(at, write)
	}
	location, err := bucket.Parse(at)
	if err != nil {
		return err
	}
	store, err := p.S3.Open()
	if err != nil {
		return err
	}
	return store.Create(ctx, location, write)
}

func toFile(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil { // found out before everything has come
		return fmt.Errorf("%s: %w: archives are never replaced", path, fs.ErrExist)
	}
	err := durable.CreateFrom(path, setup.SecretMode, write)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: archives are never replaced", err)
	}
	return err
}

// Open opens the archive at a place, which may be encrypted. It is read while it comes.
func (p Places) Open(ctx context.Context, at string, ids Identities) (io.ReadCloser, error) {
	stored, err := p.open(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read an archive: %w", err)
	}
	plain, err := ids.Uncover(stored)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, errors.Join(err, stored.Close()))
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, stored}, nil
}

func (p Places) open(ctx context.Context, at string) (io.ReadCloser, error) {
	if !bucket.Is(at) {
		return os.Open(at)
	}
	location, err := bucket.Parse(at)
	if err != nil {
		return nil, err
	}
	store, err := p.S3.Open()
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, location)
}

// Opens finds out whether a key opens what is sealed in a state: the secret of the first
// access key in it.
func Opens(key *seal.Key, s *State) (err error) {
	try := func(account identity.AccountID, keys []identity.AccessKey) bool {
		for _, k := range keys {
			if len(k.Sealed) > 0 {
				_, err = key.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(account), k.ID), k.Sealed)
				return false
			}
		}
		return true
	}
	s.Records(func(r identity.Record) bool {
		switch r := r.(type) {
		case *identity.Account:
			return try(r.ID, r.Keys)
		case *identity.User:
			return try(r.Account, r.Keys)
		}
		return true
	})
	return err
}
