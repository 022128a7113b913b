package session

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Limits of sealed messages.
const (
	// MaxMessage is how long a sealed message is at most, in characters
	// ("DecodeAuthorizationMessage" in the STS API Reference).
	MaxMessage = 10240
	// MaxMessageText is how long the text of one is at most, in bytes.
	MaxMessageText = MaxMessage*6/8 - overhead
)

// Use separates sealed texts: what was sealed for one use opens for no other. The values are
// part of every sealed text.
type Use string

// The uses.
const (
	Denial  Use = "denial"   // what led to one, for DecodeAuthorizationMessage
	TradeIn Use = "trade-in" // a delegation request, for GetDelegatedAccessToken
)

// SealMessage seals a text that this cluster opens again, in the same incarnation. The error
// wraps ErrTooLarge, or what random failed with.
func (k *Key) SealMessage(cluster, incarnation string, use Use, plain []byte, random io.Reader) (string, error) {
	if len(plain) > MaxMessageText {
		return "", fmt.Errorf("seal a message: %w", ErrTooLarge)
	}
	b := append(make([]byte, 0, overhead+len(plain)), format)
	b = binary.BigEndian.AppendUint32(b, k.id)
	associated := append(bind(b, cluster, incarnation), use...)
	b = b[:headerSize+nonceSize]
	if _, err := io.ReadFull(random, b[headerSize:]); err != nil {
		return "", fmt.Errorf("draw the nonce of a message: %w", err)
	}
	return tokenText.EncodeToString(k.messages.Seal(b, b[headerSize:], plain, associated)), nil
}

// KeyOfMessage reads which key sealed a message. It proves nothing, as KeyOf.
func KeyOfMessage(message string) (id uint32, err error) { return keyOf(message, MaxMessage) }

// OpenMessage opens what SealMessage sealed for the same incarnation of the same cluster. The
// error wraps ErrMalformed or ErrForged.
func (k *Key) OpenMessage(cluster, incarnation string, use Use, message string) ([]byte, error) {
	id, err := KeyOfMessage(message)
	if err != nil {
		return nil, err
	}
	return k.open(k.messages, id, cluster, incarnation, string(use), message)
}
