package identity

import (
	"crypto/sha256"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// SigningCertificate is an X.509 certificate whose private key a user, or the root of
// an account, signs requests with.
type SigningCertificate struct {
	ID       string
	Body     string // as it was uploaded
	Sum      CertificateSum
	Active   bool
	Uploaded Time
}

// CertificateSum is the SHA-256 of a certificate, by which it is known whatever the text
// around it.
type CertificateSum [sha256.Size]byte

// MaxSigningCertificates is how many signing certificates a user or a root may have
// ("IAM and AWS STS quotas").
const MaxSigningCertificates = 2

func appendCertificates(b []byte, list []SigningCertificate) []byte {
	b = digest.AppendInt(b, len(list))
	for _, c := range list {
		b = digest.AppendString(b, c.ID)
		b = digest.AppendString(b, c.Body)
		b = append(b, c.Sum[:]...)
		b = digest.AppendBool(b, c.Active)
		b = digest.AppendInt(b, int64(c.Uploaded))
	}
	return b
}

// signer is the place of a certificate among those of its account.
func signer(account AccountID, sum CertificateSum) table.Handle {
	return table.HandleOf(string(account) + "/" + string(sum[:]))
}

// UploadSigningCertificate gives a user, or the root where User is empty, another certificate.
type UploadSigningCertificate struct {
	Account AccountID
	User    string
	ID      string
	Body    string
	Sum     CertificateSum
}

// SigningCertificateUploaded gave its owner another certificate.
type SigningCertificateUploaded struct {
	Account  AccountID
	Owner    ID
	ID       string
	Body     string
	Sum      CertificateSum
	Uploaded Time
}

func (c *UploadSigningCertificate) decide(s *State, m Meta) ([]Event, error) {
	owner, _, err := s.keyOwner(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	list := s.Keyring(owner).Certificates
	_, taken := s.signers.Get(signer(c.Account, c.Sum))
	switch {
	case taken:
		return nil, refuse(DuplicateCertificate, "The certificate is already associated with an IAM user in the account.")
	case len(list) >= MaxSigningCertificates:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for CertificatesPerUser: %d", MaxSigningCertificates)
	case findCertificate(list, c.ID) >= 0:
		return nil, refuse(EntityAlreadyExists, "The Certificate with id %s already exists.", c.ID)
	}
	return []Event{&SigningCertificateUploaded{Account: c.Account, Owner: owner, ID: c.ID, Body: c.Body, Sum: c.Sum, Uploaded: m.Time}}, nil
}

func (e *SigningCertificateUploaded) evolve(s *State) {
	s.changeKeyring(e.Account, e.Owner, func(k *Keyring) {
		k.Certificates = appended(k.Certificates, SigningCertificate{ID: e.ID, Body: e.Body, Sum: e.Sum, Active: true, Uploaded: e.Uploaded})
		s.signers.Set(signer(k.Account, e.Sum), k.Handle())
	})
}

// UpdateSigningCertificate activates or deactivates a certificate.
type UpdateSigningCertificate struct {
	Account AccountID
	User    string
	ID      string
	Active  bool
}

// SigningCertificateUpdated activated or deactivated a certificate.
type SigningCertificateUpdated struct {
	Owner  ID
	ID     string
	Active bool
}

func (c *UpdateSigningCertificate) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnCertificate(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&SigningCertificateUpdated{Owner: owner, ID: c.ID, Active: c.Active}}, nil
}

func (e *SigningCertificateUpdated) evolve(s *State) {
	s.changeKeyring("", e.Owner, func(k *Keyring) {
		k.Certificates = altered(k.Certificates, findCertificate(k.Certificates, e.ID), func(c *SigningCertificate) { c.Active = e.Active })
	})
}

// DeleteSigningCertificate takes a certificate away.
type DeleteSigningCertificate struct {
	Account AccountID
	User    string
	ID      string
}

// SigningCertificateDeleted took a certificate away.
type SigningCertificateDeleted struct {
	Owner ID
	ID    string
}

func (c *DeleteSigningCertificate) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnCertificate(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&SigningCertificateDeleted{Owner: owner, ID: c.ID}}, nil
}

func (e *SigningCertificateDeleted) evolve(s *State) {
	s.changeKeyring("", e.Owner, func(k *Keyring) {
		k.Certificates = without(k.Certificates, func(c SigningCertificate) bool {
			if c.ID != e.ID {
				return false
			}
			s.signers.Delete(signer(k.Account, c.Sum))
			return true
		})
	})
}

// mustOwnCertificate finds the user or root, who must have the certificate.
func (s *State) mustOwnCertificate(account AccountID, user, id string) (ID, error) {
	owner, _, err := s.keyOwner(account, user)
	if err != nil {
		return "", err
	}
	if findCertificate(s.Keyring(owner).Certificates, id) < 0 {
		return "", refuse(NoSuchEntity, "The Certificate with id %s cannot be found.", id)
	}
	return owner, nil
}

func findCertificate(list []SigningCertificate, id string) int {
	return slices.IndexFunc(list, func(c SigningCertificate) bool { return c.ID == id })
}
