package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Files are paths of certificates and secrets.
type Files struct {
	CA, Cert, Key string // of the cluster's authority, and this node's
	// Renewed is where the node keeps the certificate, with its key, that it was given by the
	// leader; empty: it asks for none.
	Renewed string
	// CAKey is the key of the authority, at writers that renew the certificates of nodes while
	// they lead; empty: it renews none.
	CAKey           string
	SealKey         string // keys that seal secrets before they enter the log, see sealing.Source; NoSealKey at a replica for none
	SealCommand     string // a program that prints them, with its arguments; SealKey does not count then
	Root            string // root credentials, read once, by the writer that bootstraps
	APICert, APIKey string // for clients; both empty for plain HTTP
}

// DefaultFiles are the paths that `writ init` uses in its directory.
func DefaultFiles(dir, name string) Files {
	return Files{
		CA:      filepath.Join(dir, "ca.crt"),
		Cert:    filepath.Join(dir, "nodes", name+".crt"),
		Key:     filepath.Join(dir, "nodes", name+".key"),
		SealKey: filepath.Join(dir, "seal.key"),
		Root:    filepath.Join(dir, "root.json"),
	}
}

// NoSealKey as a replica's Files.SealKey lets it run without the keys that open
// secrets: the leader verifies signatures for it.
const NoSealKey = "none"

// ErrInUse is returned when another process has a node's directory.
var ErrInUse = errors.New("another process has the node's directory")

// Lock makes sure that one process at a time uses a directory: until the file is closed
// that it returns. Else the error is ErrInUse.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, SecretMode)
	if err != nil {
		return nil, fmt.Errorf("lock the node's directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w %s: %w", ErrInUse, dir, err)
	}
	return f, nil
}
