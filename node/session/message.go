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

// SealMessage seals a text for those who may decode it, in an incarnation of a cluster. The
// error wraps ErrTooLarge, or what random failed with.
func (k *Key) SealMessage(cluster, incarnation string, plain []byte, random io.Reader) (string, error) {
	if len(plain) > MaxMessageText {
		return "", fmt.Errorf("seal a message: %w", ErrTooLarge)
	}
	b := append(make([]byte, 0, overhead+len(plain)), format)
	b = binary.BigEndian.AppendUint32(b, k.id)
	associated := bind(b, cluster, incarnation)
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
func (k *Key) OpenMessage(cluster, incarnation, message string) ([]byte, error) {
	id, err := KeyOfMessage(message)
	if err != nil {
		return nil, err
	}
	return k.open(k.messages, id, cluster, incarnation, message)
}
