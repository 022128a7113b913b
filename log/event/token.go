package event

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Token names a position of one history, for a caller to hand back: "answer from
// here or later". Its text is opaque.
type Token struct {
	Cluster     string
	Incarnation string
	Position    Position
	Prefix      [8]byte // of the hash at Position
}

// Errors of tokens. A token is compared only within its own history.
var (
	// ErrToken is returned when a text is not a token.
	ErrToken = errors.New("not a Writ token")
	// ErrWrongCluster is returned when a token comes from another cluster.
	ErrWrongCluster = errors.New("the token belongs to another cluster")
	// ErrWrongIncarnation is returned when a token was made before the cluster
	// was restored or recovered.
	ErrWrongIncarnation = errors.New("the token belongs to another incarnation of this cluster, which was restored or recovered since, and its position means nothing in this one")
)

// TokenOf is the token for a head.
func TokenOf(cluster, incarnation string, h Head) Token {
	return Token{Cluster: cluster, Incarnation: incarnation, Position: h.Position, Prefix: [8]byte(h.Hash[:8])}
}

// maxTokenText bounds what ParseToken looks at.
const maxTokenText = 256

// tokenVersion begins every token; another version is not understood.
const tokenVersion = 1

// String is the token's text: base64url without padding.
func (t Token) String() string {
	b := []byte{tokenVersion}
	b = binary.AppendUvarint(b, uint64(len(t.Cluster)))
	b = append(b, t.Cluster...)
	b = binary.AppendUvarint(b, uint64(len(t.Incarnation)))
	b = append(b, t.Incarnation...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Position))
	b = append(b, t.Prefix[:]...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseToken reads a token's text. What is not one gives ErrToken.
func ParseToken(text string) (Token, error) {
	if len(text) > maxTokenText {
		return Token{}, fmt.Errorf("%w: longer than %d characters", ErrToken, maxTokenText)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Token{}, fmt.Errorf("%w: not base64url", ErrToken)
	}
	if len(b) == 0 || b[0] != tokenVersion {
		return Token{}, fmt.Errorf("%w: unknown version", ErrToken)
	}
	var t Token
	b = b[1:]
	for _, field := range []*string{&t.Cluster, &t.Incarnation} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return Token{}, fmt.Errorf("%w: cut short", ErrToken)
		}
		*field = string(b[size : size+int(n)])
		b = b[size+int(n):]
	}
	if len(b) != 16 {
		return Token{}, fmt.Errorf("%w: cut short", ErrToken)
	}
	t.Position = Position(binary.BigEndian.Uint64(b))
	t.Prefix = [8]byte(b[8:])
	if t.String() != text { // a length written in more bytes than it needs
		return Token{}, fmt.Errorf("%w: not in its one form", ErrToken)
	}
	return t, nil
}

// Check says whether t can be compared with positions of the given history.
func (t Token) Check(cluster, incarnation string) error {
	switch {
	case t.Cluster != cluster:
		return ErrWrongCluster
	case t.Incarnation != incarnation:
		return ErrWrongIncarnation
	}
	return nil
}
