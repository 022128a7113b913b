package issuer

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
)

// ErrNoKey is returned where no key signs web identity tokens yet.
var ErrNoKey = errors.New("no key signs web identity tokens yet")

// Signer signs by the issuer keys that a state has. Safe for concurrent use.
type Signer struct {
	seal *seal.Key

	mu   sync.Mutex
	keys map[string]*Key // by context; guarded by mu
	turn chan struct{}   // of capacity 1: taken by whoever generates a key
}

// NewSigner returns a signer that opens keys by those of the cluster; nil opens none.
func NewSigner(seals *seal.Key) *Signer {
	return &Signer{seal: seals, keys: make(map[string]*Key), turn: make(chan struct{}, 1)}
}

// context is the associated data under which an issuer key is sealed.
func context(c identity.Cluster, number uint32) string {
	return seal.ClusterKeyContext(c.ID, c.Incarnation, strconv.FormatUint(uint64(number), 10))
}

// NewKey is the command that gives a state its next issuer key. Making one takes long: of
// those who ask at once, one is served and the others are told ErrBusy.
func (s *Signer) NewKey(state *identity.State) (*identity.AddIssuerKey, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return nil, ErrBusy
	}
	private, public, err := Generate()
	if err != nil {
		return nil, err
	}
	number := state.IssuerKeys().Last + 1
	sealed, err := s.seal.Seal(seal.IssuerKey, context(state.Cluster(), number), private)
	if err != nil {
		return nil, fmt.Errorf("seal issuer key %d: %w", number, err)
	}
	return &identity.AddIssuerKey{Number: number, Sealed: sealed, Public: public}, nil
}

// ErrBusy is returned while another issuer key is being made.
var ErrBusy = errors.New("an issuer key is being made; try again in a moment")

// Sign makes the token that says some claims, by the key that signs in a state and by an
// algorithm. The error wraps ErrNoKey.
func (s *Signer) Sign(state *identity.State, algorithm string, claims []byte) (string, error) {
	active, ok := state.ActiveIssuerKey()
	if !ok {
		return "", ErrNoKey
	}
	key, err := s.open(state.Cluster(), &active)
	if err != nil {
		return "", err
	}
	return key.Sign(algorithm, claims)
}

// open opens an issuer key.
func (s *Signer) open(c identity.Cluster, k *identity.IssuerKey) (*Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := context(c, k.Number)
	if key, ok := s.keys[id]; ok {
		return key, nil
	}
	private, err := s.seal.Open(seal.IssuerKey, id, k.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open issuer key %d: %w", k.Number, err)
	}
	key, err := NewKey(private)
	if err != nil {
		return nil, fmt.Errorf("issuer key %d: %w", k.Number, err)
	}
	if len(s.keys) >= identity.MaxIssuerKeys {
		clear(s.keys)
	}
	s.keys[id] = key
	return key, nil
}
