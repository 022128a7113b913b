package bucket

import (
	"errors"
	"fmt"
)

// advice is what to do about what a store says; the codes are those of S3.
var advice = map[string]string{
	"NoSuchBucket":                 "make the bucket first",
	"InvalidAccessKeyId":           "the store does not know the access key of --s3-credentials-file or $" + EnvAccessKeyID,
	"SignatureDoesNotMatch":        "the secret of --s3-credentials-file or $" + EnvSecretAccessKey + " is another than the store's",
	"AccessDenied":                 "the credentials need s3:PutObject and s3:AbortMultipartUpload to make backups, s3:GetObject to read them",
	"Forbidden":                    "the credentials need s3:GetObject to read backups",
	"ExpiredToken":                 "renew the credentials",
	"RequestTimeTooSkewed":         "set this machine's clock",
	"AuthorizationHeaderMalformed": "name the bucket's region with --s3-region",
	"PermanentRedirect":            "the bucket is in another region: --s3-region",
	"SlowDown":                     "the store was busy for as long as it was asked; try later",
	"ServiceUnavailable":           "the store was busy for as long as it was asked; try later",
	"NotFound":                     "is there such a bucket?",
}

// explain says what was tried, and what to do about the error; nil stays nil.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if hint := advice[code(err)]; hint != "" {
		return fmt.Errorf("%s: %s: %w", what, hint, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// code is what a store calls an error; empty where the error is not of the store.
func code(err error) string {
	var of interface{ ErrorCode() string }
	if errors.As(err, &of) {
		return of.ErrorCode()
	}
	return ""
}

// status is that of a store's answer; 0 where there is none.
func status(err error) int {
	var of interface{ HTTPStatusCode() int }
	if errors.As(err, &of) {
		return of.HTTPStatusCode()
	}
	return 0
}
