package passkey

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/node/seal"
)

// Life is how long a challenge is good.
const Life = 5 * time.Minute

// ErrChallenge is returned for a challenge that this cluster did not make, or not for that
// ceremony, owner and caller, or longer than Life ago.
var ErrChallenge = errors.New("the challenge is none of this cluster's for whoever answers it, or has expired")

// Ceremony is what a challenge is for. The values are those of the type of client data.
type Ceremony string

// The ceremonies.
const (
	Create Ceremony = "webauthn.create"
	Get    Ceremony = "webauthn.get"
)

// For is what a challenge is made for. It opens for the same alone.
type For struct {
	Ceremony Ceremony
	Account  string
	Owner    string // the identifier of a user, or the account's number for its root
	Caller   string // who asked for it; empty for who is about to sign in
}

// Party is a cluster as browsers and authenticators know it. It is immutable and safe for
// concurrent use. The nil Party has no passkeys.
type Party struct {
	id      string
	hash    [sha256.Size]byte // of id
	origins []string
	key     *seal.Key
}

// New returns the party of some settings, whose challenges a key seals: nil for the zero
// Settings, or without a key. The error wraps ErrConfig.
func New(s Settings, key *seal.Key) (*Party, error) {
	origins, err := s.checked()
	if err != nil || len(origins) == 0 || key == nil {
		return nil, err
	}
	return &Party{id: s.ID, hash: sha256.Sum256([]byte(s.ID)), origins: origins, key: key}, nil
}

// ID is the domain that passkeys are bound to; empty for the nil Party.
func (p *Party) ID() string {
	if p == nil {
		return ""
	}
	return p.id
}

const (
	stampSize = 8  // of the time in what is sealed, in bytes
	drawnSize = 16 // of what is drawn beside it
)

// text is what a challenge is bound to.
func (p *Party) text(of For) string {
	return fmt.Sprintf("%q %q %q %q %q", p.id, of.Ceremony, of.Account, of.Owner, of.Caller)
}

// Challenge makes a challenge, in base64url. used is when the latest one was made that the
// owner answered: the new one is later, whatever the clocks of the nodes that made them.
// Times are in milliseconds.
func (p *Party) Challenge(of For, now, used int64) (string, error) {
	plain := make([]byte, stampSize+drawnSize)
	binary.BigEndian.PutUint64(plain, uint64(max(now, used+1)))
	rand.Read(plain[stampSize:]) // never fails: crypto/rand ends the process instead
	sealed, err := p.key.Seal(seal.PasskeyChallenge, p.text(of), plain)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open returns when a challenge was made.
func (p *Party) open(challenge string, of For, now int64) (made int64, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil {
		return 0, ErrChallenge
	}
	plain, err := p.key.Open(seal.PasskeyChallenge, p.text(of), sealed)
	if err != nil || len(plain) != stampSize+drawnSize {
		return 0, ErrChallenge
	}
	made = int64(binary.BigEndian.Uint64(plain))
	if now >= made+Life.Milliseconds() {
		return 0, ErrChallenge
	}
	return made, nil
}

// Decoy is a credential that nobody has, for whoever is asked about and has none, and how
// browsers would reach it: the same for the same text, and like those of authenticators.
func (p *Party) Decoy(text string) (credential []byte, transports []string) {
	seed := p.key.Pseudonym(seal.PasskeyDecoy, text, 1+maxDecoy)
	like := decoys[int(seed[0])%len(decoys)]
	return seed[1 : 1+like.size], like.transports
}

// decoys are how long the credentials of common authenticators are, in bytes: of platforms
// and password managers, and of hardware keys.
var decoys = [...]struct {
	size       int
	transports []string
}{
	{16, []string{"hybrid", "internal"}}, {20, []string{"hybrid", "internal"}}, {32, []string{"hybrid", "internal"}}, {32, []string{"internal"}},
	{48, []string{"nfc", "usb"}}, {64, []string{"usb"}},
}

const maxDecoy = 64
