package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The variables of the credentials. None of them is a flag: arguments are shown to everybody on a
// machine.
const (
	EnvAccessKeyID     = "WRIT_S3_ACCESS_KEY_ID"
	EnvSecretAccessKey = "WRIT_S3_SECRET_ACCESS_KEY"
	EnvSessionToken    = "WRIT_S3_SESSION_TOKEN"
)

// maxCredentials bounds a file of credentials, in bytes.
const maxCredentials = 64 << 10

// credentials are read anew for every request: what renews a file need tell nobody.
type credentials func() (aws.Credentials, error)

// Retrieve reads them.
func (c credentials) Retrieve(context.Context) (aws.Credentials, error) { return c() }

// loadCredentials reads the credentials in a file, JSON as `aws configure export-credentials` prints
// it, or without a file those in the variables. Errors never quote them.
func loadCredentials(path string) (c aws.Credentials, err error) {
	if path == "" {
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken = os.Getenv(EnvAccessKeyID), os.Getenv(EnvSecretAccessKey), os.Getenv(EnvSessionToken)
		if !c.HasKeys() {
			err = fmt.Errorf("%w: name a file of them with --s3-credentials-file, or set $%s and $%s; AWS_ACCESS_KEY_ID is that of the cluster, and is not sent there", ErrCredentials, EnvAccessKeyID, EnvSecretAccessKey)
		}
		return c, err
	}
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("read the credentials of the S3 store: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, fmt.Errorf("read the credentials of the S3 store: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return c, fmt.Errorf("%w: everybody on this machine can use %s, whose mode is %04o: chmod 600 %s", ErrCredentials, path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return c, fmt.Errorf("read the credentials of the S3 store: %w", err)
	}
	var found struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      time.Time
	}
	if json.Unmarshal(b, &found) != nil || found.AccessKeyID == "" || found.SecretAccessKey == "" {
		return c, fmt.Errorf(`%w: %s has not the form {"Version":1,"AccessKeyId":"...","SecretAccessKey":"..."}`, ErrCredentials, path)
	}
	if at := found.Expiration; !at.IsZero() && time.Now().After(at) {
		return c, fmt.Errorf("%w: those in %s ended at %s", ErrCredentials, path, at.UTC().Format(time.RFC3339))
	}
	return aws.Credentials{AccessKeyID: found.AccessKeyID, SecretAccessKey: found.SecretAccessKey, SessionToken: found.SessionToken, Source: path}, nil
}
