package iam

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/seal"
)

// Lengths as AWS has them today; clients must not rely on them.
const (
	uniqueIDLength    = 21 // "Unique identifiers" in the IAM User Guide
	accessKeyIDLength = 20
	secretBytes       = 30 // forty characters of base64

	certificateIDLength = 32
)

// newID makes a unique identifier.
func (c *Call) newID(prefix string) identity.ID {
	return identity.ID(prefix + randomText(c.Random, uniqueIDLength-len(prefix)))
}

// newUUID makes the identifier of a request or a job: a random UUID (version 4).
func (c *Call) newUUID() string {
	b := randomBytes(c.Random, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewAccessKey makes the ID and the secret of an access key from random bits.
func NewAccessKey(random io.Reader) (id, secret string) {
	id = identity.AccessKeyIDPrefix + randomText(random, accessKeyIDLength-len(identity.AccessKeyIDPrefix))
	return id, base64.StdEncoding.EncodeToString(randomBytes(random, secretBytes))
}

// SealSecret encrypts the secret of an access key for the log. The error is
// seal.ErrTooLong.
func SealSecret(key *seal.Key, account identity.AccountID, id, secret string) ([]byte, error) {
	return key.Seal(seal.AccessKeySecret, seal.AccessKeyContext(string(account), id), []byte(secret))
}

// openSecret decrypts what SealSecret encrypted.
func openSecret(key *seal.Key, account identity.AccountID, id string, sealed []byte) (string, error) {
	secret, err := key.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(account), id), sealed)
	if err != nil {
		return "", fmt.Errorf("secret of access key %s: %w", id, err)
	}
	return string(secret), nil
}

// randomText is n random characters of base32: A to Z and 2 to 7.
func randomText(random io.Reader, n int) string {
	return base32.StdEncoding.EncodeToString(randomBytes(random, n))[:n]
}

func randomBytes(random io.Reader, n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		panic(fmt.Sprintf("read %d random bytes: %v", n, err))
	}
	return b
}

// shownTime is an instant for an answer.
func shownTime(t identity.Time) *time.Time { return aws.Time(time.UnixMilli(int64(t)).UTC()) }
