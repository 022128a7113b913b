// Package seal encrypts secrets before they enter the log, where they stay for
// ever, and opens them again when a signature must be verified.
//
// A [Key] is read from a file that all nodes of a cluster share and that never
// enters the log. Each purpose has a subkey of its own (HKDF-SHA256), with which
// AES-256-GCM seals under a random nonce. A sealed secret is bound to its purpose
// and to the associated data, such as the account and the access key it belongs
// to: moved elsewhere it does not open.
//
// There may be several keys. All of them open; the first seals until the log has chosen
// another ([Key.Choose]).
package seal

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
)

// Limits of sealed secrets and key files.
const (
	// MaxPlaintext is the longest secret that is sealed, in bytes.
	MaxPlaintext = 64 << 10
	// MaxKeys is the number of keys that a file may hold.
	MaxKeys = 16
)

// Purpose separates the uses of a key: what was sealed for one purpose opens for
// no other. The values are part of every sealed secret; never change one.
type Purpose string

// The purposes.
const (
	// AccessKeySecret seals secret access keys.
	AccessKeySecret Purpose = "access-key-secret"
	// SAMLPrivateKey seals private keys that open the assertions of SAML providers.
	SAMLPrivateKey Purpose = "saml-private-key"
	// PasswordHash seals the hashes of users' passwords.
	PasswordHash Purpose = "password-hash"
	// ServerCertificateKey seals the private keys of server certificates.
	ServerCertificateKey Purpose = "server-certificate-key"
	// ServiceCredentialSecret seals the secrets of service-specific credentials.
	ServiceCredentialSecret Purpose = "service-credential-secret"
	// MFASeed seals the seeds of MFA devices.
	MFASeed Purpose = "mfa-seed"
	// SessionKey seals the keys that seal the tokens of sessions.
	SessionKey Purpose = "session-key"
	// IssuerKey seals the keys that sign web identity tokens.
	IssuerKey Purpose = "issuer-key"
	// PasskeyChallenge seals the challenges that passkeys answer.
	PasskeyChallenge Purpose = "passkey-challenge"
	// PasskeyDecoy makes what is told of passkeys of those who have none.
	PasskeyDecoy Purpose = "passkey-decoy"
)

// AccessKeyContext is the associated data under which the secret of an access key is
// sealed: it opens for the same account and access key ID alone.
func AccessKeyContext(account, id string) string { return account + "/" + id }

// SAMLKeyContext is the associated data under which a private key is sealed: it opens for
// the same SAML provider, by its ARN, and key ID alone.
func SAMLKeyContext(provider, id string) string { return provider + "/" + id }

// SeedContext is the associated data under which the seed of an MFA device is sealed: it
// opens for the same account and serial number alone.
func SeedContext(account, serial string) string { return account + "/" + serial }

// PasswordContext is the associated data under which the hash of a user's password is
// sealed: it opens for the same account and user alone.
func PasswordContext(account, user string) string { return account + "/" + user }

// ClusterKeyContext is the associated data under which a session or issuer key is sealed: it
// opens for the same incarnation of a cluster and the same number alone.
func ClusterKeyContext(cluster, incarnation, number string) string {
	return cluster + "/" + incarnation + "/" + number
}

var (
	// ErrUnknownKey is returned when a secret was sealed with a key that the
	// file does not hold.
	ErrUnknownKey = errors.New("sealed with a key that is not in the key file")
	// ErrCorrupt is returned when a sealed secret was altered, cut short, or
	// sealed for another purpose or other associated data.
	ErrCorrupt = errors.New("sealed secret does not open: it was altered, or belongs elsewhere")
	// ErrNoKey is returned where there is no key at all.
	ErrNoKey = errors.New("there is no key to seal and open secrets with")
	// ErrTooLong is returned when a secret is longer than MaxPlaintext.
	ErrTooLong = errors.New("secret is too long to be sealed")
)

const (
	keySize = 32 // bytes, AES-256
	idSize  = 8  // bytes of a key's id in a sealed secret
	// format is the first byte of every sealed secret: format, key id, nonce,
	// ciphertext with tag.
	format     = 1
	headerSize = 1 + idSize
)

// ID names a key. It is made of the key and says nothing about it; it stands in all that the
// key sealed. The zero ID is none.
type ID [idSize]byte

// String is the id in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(text string) (id ID, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != idSize {
		return id, false
	}
	return ID(b), true
}

// Key is one or more secret keys, of which one seals and all open. It is safe for concurrent
// use: whoever seals or opens goes by the keys of that moment. It does not print itself. The
// nil Key has none: it seals and opens nothing.
type Key struct{ ring atomic.Pointer[ring] }

// ring is what a Key holds at a time. It is immutable.
type ring struct {
	keys   []secret // at least one
	chosen ID       // zero: none, and the first seals
}

func newKey(keys []secret) *Key {
	k := &Key{}
	k.ring.Store(&ring{keys: keys})
	return k
}

// find returns the key of that id, or nil.
func (r *ring) find(id ID) *secret {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// sealing is the key that seals; nil where the one that was chosen is not there.
func (r *ring) sealing() *secret {
	if r.chosen == (ID{}) {
		return &r.keys[0]
	}
	return r.find(r.chosen)
}

type secret struct {
	id   ID // made from raw, public
	raw  [keySize]byte
	mark [sha256.Size]byte // made from raw, public
}

// Generate returns a Key with one new random key.
func Generate() *Key {
	var raw [keySize]byte
	rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	return newKey([]secret{newSecret(raw)})
}

func newSecret(raw [keySize]byte) secret {
	s := secret{raw: raw}
	copy(s.id[:], s.derive("writ/seal/1/id", idSize))
	copy(s.mark[:], s.derive("writ/seal/1/fingerprint", len(s.mark)))
	return s
}

func (s *secret) derive(info string, size int) []byte {
	out, err := hkdf.Key(sha256.New, s.raw[:], nil, info, size)
	if err != nil { // only for sizes beyond 8160 bytes
		panic(fmt.Sprintf("derive %d bytes for %q: %v", size, info, err))
	}
	return out
}

// aead returns the cipher for a purpose. It makes its own nonces.
func (s *secret) aead(purpose Purpose) cipher.AEAD {
	block, err := aes.NewCipher(s.derive("writ/seal/1/purpose/"+string(purpose), keySize))
	if err != nil { // only for other key sizes
		panic(fmt.Sprintf("AES-256: %v", err))
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil { // only for ciphers that are not AES
		panic(fmt.Sprintf("AES-256-GCM: %v", err))
	}
	return aead
}

// Seal encrypts a secret for a purpose and binds it to associated, which Open
// must be given again. Sealing the same secret twice gives different results. The
// error is ErrTooLong, ErrNoKey, or ErrUnknownKey where the key that was chosen is not there.
func (k *Key) Seal(purpose Purpose, associated string, plaintext []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("seal %s: %w", purpose, ErrTooLong)
	}
	if k == nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, ErrNoKey)
	}
	s := k.ring.Load().sealing()
	if s == nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, ErrUnknownKey)
	}
	sealed := append([]byte{format}, s.id[:]...)
	return s.aead(purpose).Seal(sealed, nil, plaintext, bind(sealed, purpose, associated)), nil
}

// Open decrypts what Seal made for the same purpose and associated data. The
// error is ErrUnknownKey, ErrCorrupt or ErrNoKey.
func (k *Key) Open(purpose Purpose, associated string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != format {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrCorrupt)
	}
	if k == nil {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrNoKey)
	}
	header, rest := sealed[:headerSize], sealed[headerSize:]
	s := k.ring.Load().find(ID(header[1:]))
	if s == nil {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrUnknownKey)
	}
	plaintext, err := s.aead(purpose).Open(nil, nil, rest, bind(header, purpose, associated))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrCorrupt)
	}
	return plaintext, nil
}

// IDs are those of the keys, in their order; none of the nil Key.
func (k *Key) IDs() []ID {
	if k == nil {
		return nil
	}
	var ids []ID
	for _, s := range k.ring.Load().keys {
		ids = append(ids, s.id)
	}
	return ids
}

// Sealing is the key that seals; zero for the nil Key.
func (k *Key) Sealing() ID {
	if k == nil {
		return ID{}
	}
	r := k.ring.Load()
	if r.chosen != (ID{}) {
		return r.chosen
	}
	return r.keys[0].id
}

// Choose has the key of an id seal, whatever the order of the keys. Where it is not there
// nothing is sealed.
func (k *Key) Choose(id ID) {
	for k != nil {
		old := k.ring.Load()
		if old.chosen == id || k.ring.CompareAndSwap(old, &ring{keys: old.keys, chosen: id}) {
			return
		}
	}
}

// Replace takes the keys of another in place of its own. What was chosen stays chosen.
func (k *Key) Replace(with *Key) {
	for {
		old := k.ring.Load()
		if k.ring.CompareAndSwap(old, &ring{keys: with.ring.Load().keys, chosen: old.chosen}) {
			return
		}
	}
}

// Marks are what a node that has a key can show to another that has it, by the id of the key:
// they cannot be made of anything that was sealed. Whoever was shown them can show them, too.
func (k *Key) Marks() map[string]string {
	if k == nil {
		return nil
	}
	marks := map[string]string{}
	for _, s := range k.ring.Load().keys {
		marks[s.id.String()] = hex.EncodeToString(s.mark[:16])
	}
	return marks
}

// Pseudonym makes bytes of a text that are the same each time, as long as the key that seals
// is, and that nobody without the key can tell from random ones. It returns nil without a key.
func (k *Key) Pseudonym(purpose Purpose, text string, size int) []byte {
	if k == nil {
		return nil
	}
	r := k.ring.Load()
	of := cmp.Or(r.sealing(), &r.keys[0])
	s := secret{raw: [keySize]byte(of.derive("writ/seal/1/pseudonym/"+string(purpose), keySize))}
	return s.derive(text, size)
}

// bind makes the authenticated data of a sealed secret.
func bind(header []byte, purpose Purpose, associated string) []byte {
	b := append([]byte(nil), header...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(purpose)))
	b = append(b, purpose...)
	return append(b, associated...)
}

// Fingerprint returns 32 hexadecimal digits that are equal for nodes that hold
// the same keys, in whatever order, and say nothing about the keys.
func (k *Key) Fingerprint() string {
	if k == nil {
		return ""
	}
	var marks []string
	for _, s := range k.ring.Load().keys {
		marks = append(marks, string(s.mark[:]))
	}
	slices.Sort(marks)
	sum := sha256.Sum256([]byte(strings.Join(marks, "")))
	return hex.EncodeToString(sum[:16])
}

// Format keeps keys out of logs: whatever the verb, it writes the fingerprint.
func (k *Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "seal.Key("+k.Fingerprint()+")") // fmt.State reports no errors
}
