package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
)

// Errors of encryption.
var (
	// ErrRecipients is returned for what names no recipients, or not as age does.
	ErrRecipients = errors.New("no age recipients")
	// ErrIdentity is returned where an archive is encrypted and none of the identities opens it.
	ErrIdentity = errors.New("the archive is encrypted, and no identity was given that opens it")
)

// Recipients are those who can read an archive; none for one that is in the clear.
type Recipients []age.Recipient

// ParseRecipients reads recipients as they are given one by one (age1...), and those of a file,
// if one is named, one a line.
func ParseRecipients(list []string, file string) (all Recipients, err error) {
	for _, text := range list {
		more, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrRecipients, text, err)
		}
		all = append(all, more...)
	}
	if file == "" {
		return all, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read recipients: %w", err)
	}
	defer f.Close()
	more, err := age.ParseRecipients(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRecipients, file, err)
	}
	return append(all, more...), nil
}

// Cover returns what encrypts for the recipients. Close ends it, and closes nothing else.
func (r Recipients) Cover(w io.Writer) (io.WriteCloser, error) {
	if len(r) == 0 {
		return bare{w}, nil
	}
	return age.Encrypt(w, r...)
}

// bare is a writer with nothing to close.
type bare struct{ io.Writer }

func (bare) Close() error { return nil }

// Identities open what is encrypted for them.
type Identities []age.Identity

// LoadIdentities reads the identities of a file, as age-keygen writes it; none without a name.
func LoadIdentities(file string) (Identities, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	defer f.Close()
	list, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("read identities in %s: %w", file, err)
	}
	return list, nil
}

// ageMagic is how a file of age begins.
const ageMagic = "age-encryption.org/"

// Uncover returns what is in an archive that may be encrypted.
func (i Identities) Uncover(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	begin, err := in.Peek(len(ageMagic))
	if !bytes.Equal(begin, []byte(ageMagic)) {
		return in, nil // Read says what is wrong with it
	}
	if err != nil {
		return nil, err
	}
	if len(i) == 0 {
		return nil, ErrIdentity
	}
	plain, err := age.Decrypt(in, i...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, ErrIdentity
	case err != nil:
		return nil, damaged("%w", err)
	}
	return sealed{plain}, nil
}

// sealed says of what age cannot decrypt that it is damaged.
type sealed struct{ r io.Reader }

func (s sealed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged("%w", err)
	}
	return n, err
}
