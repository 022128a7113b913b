package setup

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/node/seal"
)

// Modes of files and directories: secrets, and all that nodes keep, are their owner's
// alone.
const (
	// DirMode is the mode of directories.
	DirMode = 0o700
	// SecretMode is the mode of files that others must not read.
	SecretMode = 0o600
	publicMode = 0o644
)

// Names of files of a layout.
const (
	clusterFile = "cluster.yaml"
	// unfinishedFile is there while a layout is made for the first time.
	unfinishedFile = "init.unfinished"
)

// RootKey is the access key of the first account's root.
type RootKey struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
}

var (
	accessKeyID = regexp.MustCompile(`^[A-Za-z0-9_]{16,128}$`)
	secretKey   = regexp.MustCompile(`^[\x21-\x7e]{16,128}$`)
)

// newRootKey mints an access key, of the form of those that package iam mints.
func newRootKey() RootKey {
	var id [10]byte
	var secret [30]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	return RootKey{
		AccessKeyID:     "AKIA" + base32.StdEncoding.EncodeToString(id[:]),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:]),
	}
}

func (k RootKey) validate() error {
	if !accessKeyID.MatchString(k.AccessKeyID) {
		return fmt.Errorf("%w: an access key id has 16 to 128 letters, digits and underscores", ErrConfig)
	}
	if !secretKey.MatchString(k.SecretAccessKey) {
		return fmt.Errorf("%w: a secret access key has 16 to 128 printable characters without spaces", ErrConfig)
	}
	return nil
}

// Init lays out a cluster in dir: cluster.yaml, the cluster's authority, a
// certificate for every node, the key that seals secrets, and the root's access
// key. What is there already is kept, so that a node can be added to c and Init
// called again. c.ID is made if empty; root likewise. It returns c and the root
// key as written, which is empty where an earlier layout has none any more: the
// log has the root's key since the cluster began, and another would be nobody's.
func Init(dir string, c Cluster, root RootKey, now time.Time) (Cluster, RootKey, error) {
	old, err := LoadCluster(filepath.Join(dir, clusterFile))
	laidOut := err == nil && !exists(filepath.Join(dir, unfinishedFile))
	if err == nil {
		if c.ID != "" && c.ID != old.ID {
			return c, root, fmt.Errorf("%w: %s holds cluster %s", ErrConfig, dir, old.ID)
		}
		if c.Partition != old.Partition {
			return c, root, fmt.Errorf("%w: %s holds a cluster of the partition %s, which was chosen when it began: it cannot be of %s", ErrConfig, dir, old.Partition, c.Partition)
		}
		c.ID = old.ID
	} else if !errors.Is(err, fs.ErrNotExist) {
		return c, root, err
	} else if n := len(c.Writers); n%2 == 0 {
		return c, root, fmt.Errorf("%w: %d writers; an odd number up to %d keeps a majority when one fails", ErrConfig, n, MaxWriters)
	} else if exists(filepath.Join(dir, "ca.crt")) {
		return c, root, fmt.Errorf("%w: %s has the certificates of a cluster and no cluster.yaml: put that back, or choose another directory", ErrConfig, dir)
	} else if err := c.Begins(); err != nil {
		return c, root, err
	}
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	if err := c.Validate(); err != nil {
		return c, root, err
	}
	if err := notLost(dir, c, laidOut); err != nil {
		return c, root, err
	}
	if err := beginLayout(dir, laidOut); err != nil {
		return c, root, err
	}
	// First the id: certificates carry it, should this be interrupted and called again.
	if err := writeCluster(dir, c); err != nil {
		return c, root, err
	}
	if err := initNodes(dir, c, now); err != nil {
		return c, root, err
	}
	if laidOut {
		if root, err = LoadRootKey(filepath.Join(dir, "root.json")); errors.Is(err, fs.ErrNotExist) {
			return c, RootKey{}, nil
		}
		return c, root, err
	}
	if root, err = initSecrets(dir, root); err != nil {
		return c, root, err
	}
	return c, root, endLayout(dir)
}

// beginLayout makes the directories. Until endLayout, a mark says that the layout lacks
// what was never there, and not what somebody lost.
func beginLayout(dir string, laidOut bool) error {
	nodes := filepath.Join(dir, "nodes")
	made := !exists(nodes)
	if err := durable.MkdirAll(nodes, DirMode); err != nil {
		return fmt.Errorf("make the cluster's directory: %w", err)
	}
	if made {
		if err := ownAs(dir, nodes); err != nil {
			return err
		}
	}
	if laidOut {
		return nil
	}
	return put(filepath.Join(dir, unfinishedFile), publicMode, []byte("`writ init` has not finished; run it again as before\n"))
}

func endLayout(dir string) error {
	if err := os.Remove(filepath.Join(dir, unfinishedFile)); err != nil {
		return fmt.Errorf("finish the layout: %w", err)
	}
	return durable.SyncDir(dir)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// notLost refuses to make anew what a layout has had: nothing that was made by what is
// lost would fit it.
func notLost(dir string, c Cluster, laidOut bool) error {
	f := DefaultFiles(dir, "")
	if laidOut && !exists(f.SealKey) {
		return fmt.Errorf("%w: %s is missing: put it back. Another would open none of the cluster's secrets. Of a cluster that never ran, remove %s and lay it out anew", ErrConfig, f.SealKey, dir)
	}
	cert, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if exists(cert) && !exists(key) && !complete(dir, c) {
		return fmt.Errorf("%w: %s is missing: put it back while certificates are issued. By another, all nodes would need new ones: remove %s and %s for that",
			ErrConfig, key, cert, filepath.Join(dir, "nodes"))
	}
	return nil
}

// complete tells whether every node has its certificate.
func complete(dir string, c Cluster) bool {
	for _, w := range c.Writers {
		if !exists(DefaultFiles(dir, w.Name).Key) {
			return false
		}
	}
	for _, r := range c.Replicas {
		if !exists(DefaultFiles(dir, r.Name).Key) {
			return false
		}
	}
	return true
}

// initNodes makes the certificate authority and the certificates that are missing. The
// authority's key is needed only where one is.
func initNodes(dir string, c Cluster, now time.Time) error {
	certFile, keyFile := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	if exists(certFile) && !exists(keyFile) && complete(dir, c) {
		return nil // notLost lets nothing else without the key come here
	}
	if !exists(keyFile) {
		a, err := NewCertificateAuthority(c.ID, now)
		if err != nil {
			return err
		}
		cert, key, err := a.PEM()
		if err != nil {
			return err
		}
		if err := put(certFile, publicMode, cert); err != nil {
			return err
		}
		if err := put(keyFile, SecretMode, key); err != nil {
			return err
		}
	}
	a, err := LoadCertificateAuthority(certFile, keyFile)
	if err != nil {
		return err
	}
	for _, w := range c.Writers {
		if err := initNode(dir, a, c.ID, w.Name, RoleWriter, now); err != nil {
			return err
		}
	}
	for _, r := range c.Replicas {
		if err := initNode(dir, a, c.ID, r.Name, RoleReplica, now); err != nil {
			return err
		}
	}
	return nil
}

func initNode(dir string, a *CertificateAuthority, cluster, name string, role Role, now time.Time) error {
	f := DefaultFiles(dir, name)
	if _, err := os.Stat(f.Key); err == nil {
		return nil
	}
	cert, key, err := a.Issue(cluster, name, role, now)
	if err != nil {
		return err
	}
	if err := put(f.Cert, publicMode, cert); err != nil {
		return err
	}
	return put(f.Key, SecretMode, key)
}

// initSecrets makes the seal key and the root key where they are missing.
func initSecrets(dir string, root RootKey) (RootKey, error) {
	f := DefaultFiles(dir, "")
	if _, err := os.Stat(f.SealKey); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(seal.Generate().SaveFile(f.SealKey), ownAs(dir, f.SealKey)); err != nil {
			return root, err
		}
	}
	if old, err := LoadRootKey(f.Root); err == nil {
		return old, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if root == (RootKey{}) {
		root = newRootKey()
	}
	if err := root.validate(); err != nil {
		return root, err
	}
	text, err := json.Marshal(root)
	if err != nil {
		return root, fmt.Errorf("encode the root key: %w", err)
	}
	return root, put(f.Root, SecretMode, text)
}

// LoadRootKey reads what Init wrote. A file that holds no key that could be the root's
// is an ErrConfig.
func LoadRootKey(path string) (RootKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return RootKey{}, fmt.Errorf("read the root key: %w", err)
	}
	var k RootKey
	if err := json.Unmarshal(text, &k); err != nil {
		return RootKey{}, fmt.Errorf("%w: %s is not the JSON of a root key", ErrConfig, path)
	}
	if err := k.validate(); err != nil {
		return RootKey{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}
