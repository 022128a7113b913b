package identity

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// ServerCertificate is an X.509 certificate with its private key, which services of an
// account prove themselves with.
type ServerCertificate struct {
	ID       ID
	Account  AccountID
	Name     string
	Path     string
	Body     string // in PEM, as it was uploaded
	Chain    string // of those who signed it, in PEM, as it was uploaded; empty for none
	Sealed   []byte // the private key, encrypted; the log never holds it in the clear
	Uploaded Time
	Expires  Time
	Tags     []Tag
	In       Partition // the cluster's; not stored with the record
}

// ARN is arn:PARTITION:iam::ACCOUNT:server-certificate/path/name.
func (c *ServerCertificate) ARN() string {
	return c.In.ARN(KindServerCertificate, c.Account, c.Path, c.Name)
}

// Handle makes a ServerCertificate a record of a table, by its key, as do Is and AppendDigest.
func (c *ServerCertificate) Handle() table.Handle { return table.HandleOf(c.ID) }

// Is tells whether the ServerCertificate has that key.
func (c *ServerCertificate) Is(key string) bool { return string(c.ID) == key }

// AppendDigest appends all that the ServerCertificate has.
func (c *ServerCertificate) AppendDigest(b []byte) []byte {
	b = append(b, 'C')
	b = digest.AppendString(b, c.ID)
	b = digest.AppendString(b, c.Account)
	b = digest.AppendString(b, c.Name)
	b = digest.AppendString(b, c.Path)
	b = digest.AppendString(b, c.Body)
	b = digest.AppendString(b, c.Chain)
	b = digest.AppendString(b, c.Sealed)
	b = digest.AppendInt(b, int64(c.Uploaded))
	b = digest.AppendInt(b, int64(c.Expires))
	return c.In.appendDigest(appendTags(b, c.Tags))
}

func (c *ServerCertificate) held() held {
	return held{KindServerCertificate, c.ID, c.Account, c.Name, c.Path, nil, nil, nil, nil, &c.Tags}
}

// ServerCertificate returns the certificate of that name, without regard to case.
func (s *State) ServerCertificate(account AccountID, name string) (*ServerCertificate, bool) {
	return named(s, &s.certificates, account, KindServerCertificate, name)
}

// ServerCertificates yields the certificates of an account in order of name without
// regard to case, those after the name after.
func (s *State) ServerCertificates(account AccountID, after string, yield func(*ServerCertificate) bool) {
	list(s, &s.certificates, account, KindServerCertificate, after, yield)
}

// ServerCertificatesBelow is ServerCertificates for those whose path begins with a prefix longer than "/". Where they
// are more than MaxBelow it yields none and returns false.
func (s *State) ServerCertificatesBelow(account AccountID, prefix, after string, yield func(*ServerCertificate) bool) bool {
	return listBelow(s, &s.certificates, account, KindServerCertificate, prefix, after, yield)
}

// UploadServerCertificate gives an account another certificate.
type UploadServerCertificate struct {
	Account AccountID
	ID      ID
	Name    string
	Path    string
	Body    string
	Chain   string
	Sealed  []byte
	Expires Time
	Tags    []Tag
}

// ServerCertificateUploaded gave an account another certificate.
type ServerCertificateUploaded struct {
	Account  AccountID
	ID       ID
	Name     string
	Path     string
	Body     string
	Chain    string
	Sealed   []byte
	Expires  Time
	Tags     []Tag
	Uploaded Time
}

func (c *UploadServerCertificate) decide(s *State, m Meta) ([]Event, error) {
	if err := s.mayCreate(c.Account, KindServerCertificate, c.Name, c.ID); err != nil {
		return nil, err
	}
	if err := mayTag(KindServerCertificate, nil, c.Tags, sameTag); err != nil {
		return nil, err
	}
	return []Event{&ServerCertificateUploaded{Account: c.Account, ID: c.ID, Name: c.Name, Path: c.Path, Body: c.Body, Chain: c.Chain,
		Sealed: c.Sealed, Expires: c.Expires, Tags: c.Tags, Uploaded: m.Time}}, nil
}

func (e *ServerCertificateUploaded) evolve(s *State) {
	c := &ServerCertificate{In: s.partition, ID: e.ID, Account: e.Account, Name: e.Name, Path: e.Path, Body: e.Body, Chain: e.Chain, Sealed: e.Sealed,
		Uploaded: e.Uploaded, Expires: e.Expires, Tags: withTags(KindServerCertificate, nil, e.Tags)}
	s.certificates.Put(c)
	s.names.add(scopeOf(c.Account, KindServerCertificate), c.Name, c.Handle())
	s.paths.add(scopeOf(c.Account, KindServerCertificate), c.Path, c.Name, c.Handle())
}

// UpdateServerCertificate renames a certificate or moves it to another path. Empty
// fields stay as they are.
type UpdateServerCertificate struct {
	Account AccountID
	Name    string
	NewName string
	NewPath string
}

// ServerCertificateUpdated gave a certificate this name and path.
type ServerCertificateUpdated struct {
	ID   ID
	Name string
	Path string
}

func (c *UpdateServerCertificate) decide(s *State, _ Meta) ([]Event, error) {
	old, err := s.mustServerCertificate(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	e := &ServerCertificateUpdated{ID: old.ID, Name: old.Name, Path: old.Path}
	if c.NewName != "" {
		if err := s.mayRename(c.Account, KindServerCertificate, c.NewName, old.ID); err != nil {
			return nil, err
		}
		e.Name = c.NewName
	}
	if c.NewPath != "" {
		e.Path = c.NewPath
	}
	return []Event{e}, nil
}

func (e *ServerCertificateUpdated) evolve(s *State) {
	changeRecord(&s.certificates, e.ID, func(c *ServerCertificate) bool {
		s.names.rename(scopeOf(c.Account, KindServerCertificate), c.Name, e.Name, c.Handle())
		s.paths.move(scopeOf(c.Account, KindServerCertificate), c.Path, c.Name, e.Path, e.Name, c.Handle())
		c.Name, c.Path = e.Name, e.Path
		return true
	})
}

// DeleteServerCertificate removes a certificate.
type DeleteServerCertificate struct {
	Account AccountID
	Name    string
}

// ServerCertificateDeleted removed a certificate.
type ServerCertificateDeleted struct {
	ID ID
}

func (c *DeleteServerCertificate) decide(s *State, _ Meta) ([]Event, error) {
	old, err := s.mustServerCertificate(c.Account, c.Name)
	if err != nil {
		return nil, err
	}
	return []Event{&ServerCertificateDeleted{ID: old.ID}}, nil
}

func (e *ServerCertificateDeleted) evolve(s *State) {
	if c, ok := s.certificates.Get(e.ID); ok {
		s.names.remove(scopeOf(c.Account, KindServerCertificate), c.Name)
		s.paths.remove(scopeOf(c.Account, KindServerCertificate), c.Path, c.Name)
		s.certificates.Delete(c)
	}
}

func (s *State) mustServerCertificate(account AccountID, name string) (*ServerCertificate, error) {
	if c, ok := s.ServerCertificate(account, name); ok {
		return c, nil
	}
	return nil, noSuch(KindServerCertificate, name)
}
