package seal

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/durable"
)

// maxFile bounds a key file, in bytes.
const maxFile = 16 << 10

// Reader says who may read a key file besides its owner.
type Reader fs.FileMode

// The readers.
const (
	OwnerAlone Reader = 0o600
	// OwnGroup is for the credentials of systemd, which gives the service the file by its group.
	OwnGroup Reader = 0o640
)

// LoadFile reads a key file. Each line holds one key: 32 bytes in hexadecimal or
// base64; empty lines and lines that begin with # are passed over. The file must
// be readable by its owner alone (mode 0600 or 0400). Errors name the file and
// never quote it.
func LoadFile(path string) (*Key, error) { return LoadFileFor(path, OwnerAlone) }

// LoadFileFor is LoadFile for a file that others may read.
func LoadFileFor(path string, by Reader) (*Key, error) {
	text, err := readFile(path, by)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	k, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	return k, nil
}

// Read reads keys in the form of a key file. Errors never quote them.
func Read(r io.Reader) (*Key, error) {
	text, err := bounded(r)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

func readFile(path string, by Reader) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", unwrapPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", unwrapPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&^fs.FileMode(by) != 0 {
		return "", fmt.Errorf("mode is %04o, others than the owner could read it: chmod 600 it", mode)
	}
	return bounded(f)
}

func bounded(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return "", unwrapPath(err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("longer than %d bytes", maxFile)
	}
	return string(text), nil
}

// AddToFile appends a new random key to a key file, durably, and returns its id. The file keeps
// its owner and mode. It becomes no key of a Key that was read from it before.
func AddToFile(path string) (ID, error) {
	text, err := readFile(path, OwnerAlone)
	if err == nil {
		var old *Key
		if old, err = parse(text); err == nil && len(old.IDs()) >= MaxKeys {
			err = fmt.Errorf("it has %d keys already; remove one that is retired", MaxKeys)
		}
	}
	if err != nil {
		return ID{}, fmt.Errorf("read key file %s: %w", path, err)
	}
	added := Generate()
	line := hex.EncodeToString(added.ring.Load().keys[0].raw[:]) + "\n"
	if !strings.HasSuffix(text, "\n") {
		line = "\n" + line
	}
	if err := durable.Append(path, []byte(line)); err != nil {
		return ID{}, err
	}
	return added.Sealing(), nil
}

// unwrapPath drops the path that os repeats in its errors.
func unwrapPath(err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func parse(text string) (*Key, error) {
	var keys []secret
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		raw, err := decode(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		s := newSecret(raw)
		if slices.ContainsFunc(keys, func(have secret) bool { return have.id == s.id }) {
			return nil, fmt.Errorf("line %d: the same key again", number)
		}
		if keys = append(keys, s); len(keys) > MaxKeys {
			return nil, fmt.Errorf("more than %d keys", MaxKeys)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key")
	}
	return newKey(keys), nil
}

// decode reads a key. Its length tells the encoding: 64 digits of hexadecimal, 44
// characters of base64, or 43 without padding.
func decode(line string) (raw [keySize]byte, err error) {
	var b []byte
	switch len(line) {
	case hex.EncodedLen(keySize):
		b, err = hex.DecodeString(line)
	case base64.StdEncoding.EncodedLen(keySize), base64.RawStdEncoding.EncodedLen(keySize):
		b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(line, "="))
	}
	if err != nil || len(b) != keySize || [keySize]byte(b) == raw {
		return raw, fmt.Errorf("not a key: want %d random bytes in hexadecimal or base64", keySize)
	}
	return [keySize]byte(b), nil
}

// SaveFile writes the keys to a new file of mode 0600, durably. It does not
// overwrite: losing a key loses every secret that was sealed with it.
func (k *Key) SaveFile(path string) error {
	var text []byte
	for _, s := range k.ring.Load().keys {
		text = hex.AppendEncode(text, s.raw[:])
		text = append(text, '\n')
	}
	if err := durable.Create(path, 0o600, text); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}
