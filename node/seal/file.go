package seal

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/durable"
)

// maxFile bounds a key file, in bytes.
const maxFile = 16 << 10

// LoadFile reads a key file. Each line holds one key: 32 bytes in hexadecimal or
// base64; empty lines and lines that begin with # are passed over. The file must
// be readable by its owner alone (mode 0600 or 0400). Errors name the file and
// never quote it.
func LoadFile(path string) (*Key, error) {
	k, err := loadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	return k, nil
}

func loadFile(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unwrapPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unwrapPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&^0o600 != 0 {
		return nil, fmt.Errorf("mode is %04o, others than the owner could read it: chmod 600 it", mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unwrapPath(err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return parse(string(text))
}

// unwrapPath drops the path that os repeats in its errors.
func unwrapPath(err error) error {
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func parse(text string) (*Key, error) {
	k := &Key{}
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
		if slices.ContainsFunc(k.keys, func(have secret) bool { return have.id == s.id }) {
			return nil, fmt.Errorf("line %d: the same key again", number)
		}
		if k.keys = append(k.keys, s); len(k.keys) > MaxKeys {
			return nil, fmt.Errorf("more than %d keys", MaxKeys)
		}
	}
	if len(k.keys) == 0 {
		return nil, errors.New("holds no key")
	}
	return k, nil
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
	for i := range k.keys {
		text = hex.AppendEncode(text, k.keys[i].raw[:])
		text = append(text, '\n')
	}
	if err := durable.Create(path, 0o600, text); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}
