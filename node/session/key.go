package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// KeySize is the length of a session key, in bytes.
const KeySize = 32

// AccessKeyPrefix is what the access key ids of sessions begin with.
const AccessKeyPrefix = "ASIA"

const (
	// format is the first byte of every token.
	format     = 1
	headerSize = 1 + 4
	nonceSize  = 12
	tagSize    = 16
	overhead   = headerSize + nonceSize + tagSize
	// maxBytes is how many bytes MaxToken characters hold.
	maxBytes = MaxToken * 6 / 8

	idSize      = 10 // bytes that an access key id stands for
	idLetters   = idSize * 8 / 5
	secretBytes = 30 // 40 characters
)

// That all claims at their longest fit into a token: else this does not compile.
const _ = uint(maxBytes - overhead - maxFixed - MaxPacked)

var (
	tokenText = base64.RawURLEncoding.Strict()
	idText    = base32.StdEncoding.WithPadding(base32.NoPadding)
)

// Key seals sessions and opens them. It is immutable, safe for concurrent use, and does not
// print itself.
type Key struct {
	id       uint32
	aead     cipher.AEAD // of tokens
	messages cipher.AEAD
	secrets  []byte // key of the HMAC that makes secrets
}

// NewKey returns the key of a number, made of KeySize random bytes. It keeps none of them.
func NewKey(id uint32, raw []byte) (*Key, error) {
	if len(raw) != KeySize {
		return nil, fmt.Errorf("session key %d has %d bytes: want %d random bytes", id, len(raw), KeySize)
	}
	return &Key{id: id, aead: newAEAD(derive(raw, "writ/session/1/token")), messages: newAEAD(derive(raw, "writ/session/1/message")),
		secrets: derive(raw, "writ/session/1/secret")}, nil
}

// newAEAD returns AES-256-GCM by a subkey.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil { // only for other key sizes
		panic(fmt.Sprintf("AES-256: %v", err))
	}
	aead, err := cipher.NewGCM(block)
	if err != nil { // only for other block sizes
		panic(fmt.Sprintf("AES-256-GCM: %v", err))
	}
	return aead
}

// derive makes the subkey of a use. Uses are forever.
func derive(raw []byte, use string) []byte {
	out, err := hkdf.Key(sha256.New, raw, nil, use, KeySize)
	if err != nil { // only for sizes beyond 8160 bytes
		panic(fmt.Sprintf("derive for %q: %v", use, err))
	}
	return out
}

// ID is the key's number.
func (k *Key) ID() uint32 { return k.id }

// String names the number alone, of a copy of the key too.
func (k Key) String() string { return fmt.Sprintf("session.Key(%d)", k.id) }

// Format writes the number alone, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, k.String()) // fmt.State reports no errors
}

// Secret is that of the session with an access key id: 40 characters of base64, as AWS's.
func (k *Key) Secret(accessKey string) string {
	h := hmac.New(sha256.New, k.secrets)
	h.Write([]byte(accessKey))
	return base64.StdEncoding.EncodeToString(h.Sum(nil)[:secretBytes])
}

// Numbered tells keys apart: another incarnation of a cluster gives its keys the same numbers.
type Numbered struct {
	Incarnation string
	Number      uint32
}

// Mint makes the credentials of a session in an incarnation of a cluster, and sets the
// claims' AccessKey to theirs. The error wraps ErrTooLarge, ErrInvalid, or what random failed
// with; the claims are then as they were.
func (k *Key) Mint(cluster, incarnation string, c *Claims, random io.Reader) (Credentials, error) {
	if err := c.check(); err != nil {
		return Credentials{}, fmt.Errorf("mint session: %w", err)
	}
	var drawn [idSize + nonceSize]byte
	if _, err := io.ReadFull(random, drawn[:]); err != nil {
		return Credentials{}, fmt.Errorf("draw the access key id of a session: %w", err)
	}
	id, nonce := drawn[:idSize], drawn[idSize:]
	plain, err := c.encode(id)
	if err != nil {
		return Credentials{}, fmt.Errorf("mint session: %w", err)
	}
	b := append(make([]byte, 0, overhead+len(plain)), format)
	b = binary.BigEndian.AppendUint32(b, k.id)
	associated := bind(b, cluster, incarnation)
	b = append(b, nonce...)
	b = k.aead.Seal(b, nonce, plain, associated)
	c.AccessKey = accessKeyID(id)
	return Credentials{AccessKey: c.AccessKey, Secret: k.Secret(c.AccessKey), Token: tokenText.EncodeToString(b)}, nil
}

// accessKeyID is the access key id that some bytes stand for.
func accessKeyID(id []byte) string {
	b := append(make([]byte, 0, len(AccessKeyPrefix)+idLetters), AccessKeyPrefix...)
	return string(idText.AppendEncode(b, id))
}

// bind makes the authenticated data of a token.
func bind(header []byte, cluster, incarnation string) []byte {
	b := append(make([]byte, 0, len(header)+binary.MaxVarintLen64+len(cluster)+len(incarnation)), header...)
	b = appendText(b, cluster)
	return append(b, incarnation...)
}

// KeyOf reads which key sealed a token. It proves nothing: whoever sent the token chose the
// number. The error wraps ErrMalformed.
func KeyOf(token string) (id uint32, err error) { return keyOf(token, MaxToken) }

// keyOf is KeyOf for what has at most so many characters.
func keyOf(token string, most int) (id uint32, err error) {
	const head = 8 // characters, of 6 bytes
	// base64 passes over the ends of lines, by which one token would have many texts.
	if len(token) < tokenText.EncodedLen(overhead) || len(token) > most || strings.ContainsAny(token, "\r\n") {
		return 0, fmt.Errorf("read session token: %w", ErrMalformed)
	}
	var b [6]byte
	if _, err := tokenText.Decode(b[:], []byte(token[:head])); err != nil || b[0] != format {
		return 0, fmt.Errorf("read session token: %w", ErrMalformed)
	}
	return binary.BigEndian.Uint32(b[1:]), nil
}

// Open opens a token, which this key sealed for the same incarnation of the same cluster. The
// error wraps ErrMalformed or ErrForged.
func (k *Key) Open(cluster, incarnation, token string) (*Claims, error) {
	id, err := KeyOf(token)
	if err != nil {
		return nil, err
	}
	plain, err := k.open(k.aead, id, cluster, incarnation, "", token)
	if err != nil {
		return nil, err
	}
	c, err := decode(string(plain))
	if err != nil {
		return nil, fmt.Errorf("open session token: %w: %w", ErrForged, err)
	}
	return c, nil
}

// open opens what was sealed by one of the subkeys of a key, whose number it names, for a use.
func (k *Key) open(by cipher.AEAD, id uint32, cluster, incarnation, use, token string) ([]byte, error) {
	b, err := tokenText.DecodeString(token)
	if err != nil {
		return nil, fmt.Errorf("read session token: %w", ErrMalformed)
	}
	if id != k.id {
		return nil, fmt.Errorf("open session token of key %d by key %d: %w", id, k.id, ErrForged)
	}
	header, nonce, sealed := b[:headerSize], b[headerSize:headerSize+nonceSize], b[headerSize+nonceSize:]
	plain, err := by.Open(sealed[:0], nonce, sealed, append(bind(header, cluster, incarnation), use...))
	if err != nil {
		return nil, fmt.Errorf("open session token: %w", ErrForged)
	}
	return plain, nil
}
