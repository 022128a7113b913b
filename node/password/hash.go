package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what a hash takes. The zero value is the cost of today.
type Cost struct {
	Memory  uint32 // in KiB
	Passes  uint32
	Threads uint8
}

// The cost of today is the one that OWASP's "Password Storage Cheat Sheet" recommends.
const (
	memory  = 19 << 10
	passes  = 2
	threads = 1
)

// Sizes of salts and hashes, in bytes.
const (
	saltSize = 16
	sumSize  = 32
)

// Limits of what a hash that is read may cost: what is sealed is our own, but an error in
// it is not to take the node.
const (
	maxMemory  = 256 << 10
	maxPasses  = 16
	maxThreads = 16
	maxText    = 256 // bytes of a hash as text
	maxPart    = 64  // bytes of its salt, and of its sum
)

// ErrHash is returned when a text is no hash of a password, or one that costs too much.
var ErrHash = errors.New("not the hash of a password")

var encoding = base64.RawStdEncoding.Strict()

// hash is a hash of a password with what it takes to make it again.
type hash struct {
	cost Cost
	salt []byte
	sum  []byte
}

// newHash hashes a password under a new salt.
func newHash(cost Cost, random io.Reader, password string) (hash, error) {
	h := hash{cost: cost, salt: make([]byte, saltSize)}
	if _, err := io.ReadFull(random, h.salt); err != nil {
		return hash{}, fmt.Errorf("read the salt of a hash: %w", err)
	}
	h.sum = h.of(password, sumSize)
	return h, nil
}

func (h *hash) of(password string, size int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.cost.Passes, h.cost.Memory, h.cost.Threads, uint32(size))
}

// matches tells in constant time whether the hash is that of a password.
func (h *hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password, len(h.sum)), h.sum) == 1
}

// String is the hash in the form in which argon2 writes it.
func (h *hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.cost.Memory, h.cost.Passes, h.cost.Threads,
		encoding.EncodeToString(h.salt), encoding.EncodeToString(h.sum))
}

// parse reads what String wrote. The error is ErrHash.
func parse(text string) (h hash, err error) {
	parts := strings.Split(text, "$")
	if len(text) > maxText || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return hash{}, ErrHash
	}
	var version int
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &h.cost.Memory, &h.cost.Passes, &h.cost.Threads); err != nil {
		return hash{}, ErrHash
	}
	var unsalted, unsummed error
	h.salt, unsalted = encoding.DecodeString(parts[4])
	h.sum, unsummed = encoding.DecodeString(parts[5])
	switch c := h.cost; {
	case unsalted != nil || unsummed != nil || version != argon2.Version || h.String() != text,
		c.Memory == 0 || c.Memory > maxMemory || c.Passes == 0 || c.Passes > maxPasses || c.Threads == 0 || c.Threads > maxThreads,
		len(h.salt) < saltSize/2 || len(h.salt) > maxPart || len(h.sum) < sumSize/2 || len(h.sum) > maxPart:
		return hash{}, ErrHash
	}
	return h, nil
}
