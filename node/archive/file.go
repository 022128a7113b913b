package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
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

// ToFile has write make a file, durably, which must not be there yet: the error is
// fs.ErrExist where it is. If it fails, there is no such file.
func ToFile(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil { // found out before everything has come
		return fmt.Errorf("%s: %w: archives are never replaced", path, fs.ErrExist)
	}
	err := durable.CreateFrom(path, setup.SecretMode, write)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: archives are never replaced", err)
	}
	return err
}

// OpenFile opens a file that may be encrypted.
func (i Identities) OpenFile(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read an archive: %w", err)
	}
	plain, err := i.Uncover(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, f}, nil
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
