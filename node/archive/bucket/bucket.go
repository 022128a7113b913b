// Package bucket keeps objects in stores that speak the S3 protocol: it puts one there whole or not
// at all, never in place of another, and reads, lists and removes them.
//
// A store has settings and credentials of its own, [Config]. The variables of AWS's tools
// (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, profiles) are never read: to those who use Writ they name
// the cluster itself, and maybe its root, whose key is nothing for a store outside.
//
// A connection on which nothing comes or goes for half a minute ends, and what failed is tried a few
// times: nothing here waits for ever.
package bucket

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Scheme begins the URL of an object: s3://BUCKET/KEY.
const Scheme = "s3://"

// Limits of what is asked of a store.
const (
	// PartSize is that of the parts in which an object is sent, in bytes, and the memory that
	// sending takes. Every store takes parts of 5 MiB or more, and some want them equal.
	PartSize = 8 << 20
	// MaxParts is how many an object has at most: as many as every store takes. MaxSize is
	// how large it can be, 78 GiB.
	MaxParts = 10_000
	MaxSize  = MaxParts * PartSize
	// MaxListed is how many objects may be below a prefix that is listed.
	MaxListed = 10_000
	// maxKey is the longest key that S3 takes, in bytes.
	maxKey = 1024
	// attempts is how often one request is sent at most, maxBackoff the longest pause between
	// two: together less than a writer waits for who takes nothing of an archive.
	attempts   = 5
	maxBackoff = 8 * time.Second
)

// Errors of stores.
var (
	// ErrURL is returned for what names no object as s3://BUCKET/KEY.
	ErrURL = errors.New("this is no URL of an object")
	// ErrConfig is returned for settings with which no store can be reached.
	ErrConfig = errors.New("the settings of the S3 store are not complete")
	// ErrCredentials is returned where there are no credentials for the store.
	ErrCredentials = errors.New("no credentials for the S3 store")
	// ErrTooLarge is returned for an object of more than MaxSize bytes.
	ErrTooLarge = errors.New("the object is too large for one of the store")
)

// Location is where an object is: with a Key that ends in / or is empty, where objects are.
type Location struct{ Bucket, Key string }

// String is the URL.
func (l Location) String() string { return Scheme + l.Bucket + "/" + l.Key }

// Below is the location of a name below this one.
func (l Location) Below(name string) Location { return Location{l.Bucket, l.Key + name} }

// Is tells whether a text is meant as a URL of this package, and not as the path of a file.
func Is(text string) bool { return strings.HasPrefix(text, Scheme) }

// bucketName is what S3 takes for one.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Parse reads the URL of an object. The error wraps ErrURL.
func Parse(text string) (Location, error) {
	l, err := parse(text)
	if err == nil && (l.Key == "" || strings.HasSuffix(l.Key, "/")) {
		err = fmt.Errorf("%w: %q names no object: s3://BUCKET/KEY", ErrURL, text)
	}
	return l, err
}

// ParsePrefix reads the URL below which objects are. The error wraps ErrURL.
func ParsePrefix(text string) (Location, error) {
	l, err := parse(text)
	if l.Key != "" && !strings.HasSuffix(l.Key, "/") {
		l.Key += "/"
	}
	return l, err
}

func parse(text string) (l Location, err error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	l.Bucket, l.Key, _ = strings.Cut(rest, "/")
	switch {
	case !ok || !bucketName.MatchString(l.Bucket):
		return Location{}, fmt.Errorf("%w: %q: s3://BUCKET/KEY, where a bucket has 3 to 63 of a-z, 0-9, - and .", ErrURL, text)
	case slices.ContainsFunc(strings.Split(l.Key, "/"), func(part string) bool { return part == "." || part == ".." }):
		return Location{}, fmt.Errorf("%w: its key %q goes by way of . or .., which a store may take for another bucket", ErrURL, l.Key)
	case len(l.Key) > maxKey:
		return Location{}, fmt.Errorf("%w: its key has %d bytes, at most %d", ErrURL, len(l.Key), maxKey)
	}
	return l, nil
}

// Config says how a store is reached. The zero value is AWS's, but for its region.
type Config struct {
	// Endpoint is the URL of a store; empty for that of AWS in Region. A bucket is part of the
	// path there, and of the host's name at AWS.
	Endpoint string
	// Region is the store's; us-east-1 where it is empty and Endpoint is not.
	Region string
	// CredentialsFile has the credentials; see loadCredentials. Without one, they are in
	// variables.
	CredentialsFile string
	// CAFile has the certificates by which the store is believed, PEM; empty for the system's.
	CAFile string

	idle, backoff time.Duration // of tests; zero for the ones above
}

// Store is a store that speaks the S3 protocol. It may be used by any number of goroutines.
type Store struct {
	client *s3.Client
}

// Open reads the settings and credentials of a store; nothing is asked of it. The error wraps
// ErrConfig or ErrCredentials, or is of a file.
func (c Config) Open() (*Store, error) {
	o := s3.Options{
		Region:                     c.Region,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, // some stores know no others than the signature's
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Retryer: retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts, r.MaxBackoff = attempts, cmp.Or(c.backoff, maxBackoff)
		}),
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%w: --s3-endpoint takes a URL such as https://s3.example.com", ErrConfig)
		}
		o.BaseEndpoint, o.UsePathStyle, o.Region = aws.String(u.Scheme+"://"+u.Host), true, cmp.Or(c.Region, "us-east-1")
	}
	if o.Region == "" {
		return nil, fmt.Errorf("%w: --s3-endpoint names the store, or --s3-region the region of AWS that has the bucket", ErrConfig)
	}
	load := func() (aws.Credentials, error) { return loadCredentials(c.CredentialsFile) }
	if _, err := load(); err != nil {
		return nil, err
	}
	o.Credentials = credentials(load)
	var err error
	if o.HTTPClient, err = c.http(); err != nil {
		return nil, err
	}
	return &Store{client: s3.New(o)}, nil
}
