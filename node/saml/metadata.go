package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Namespaces and the protocol of SAML 2.0 ("Metadata for the OASIS Security Assertion
// Markup Language V2.0").
const (
	namespaceMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	namespaceSignature = "http://www.w3.org/2000/09/xmldsig#"
	protocol           = "urn:oasis:names:tc:SAML:2.0:protocol"
)

// Limits of a metadata document.
const (
	// MaxDocument is AWS's, in characters.
	MaxDocument = 10_000_000
	// MaxEntityID is the longest entityID, in characters (section 2.2.1 of the standard).
	MaxEntityID = 1024
	// MaxCertificates is how many certificates a document may have to sign with.
	MaxCertificates = 64
	// MinKeyBits is the shortest RSA key of such a certificate ("Create a SAML identity
	// provider in IAM").
	MinKeyBits = 1024
	// MaxElements is how many elements a document may have, their attributes counted, too:
	// what it takes to read one grows with them.
	MaxElements = 20_000
	maxDepth    = 64 // of elements in each other
)

// ErrMetadata is returned for a document that is not the metadata of an identity provider.
var ErrMetadata = errors.New("not the metadata of a SAML 2.0 identity provider")

// Metadata is what a document says of an identity provider.
type Metadata struct {
	EntityID string
	// ValidUntil is when the document expires; zero where it does not say.
	ValidUntil time.Time
	// Signing are the certificates that the provider signs by, one at least. Whether they
	// have expired is not looked at ("SAML V2.0 Metadata Interoperability Profile").
	Signing []*x509.Certificate
}

// Parse reads a metadata document: one EntityDescriptor, with one IDPSSODescriptor at
// least that speaks SAML 2.0, and a certificate to sign with. What is wrong gives an error
// that wraps ErrMetadata.
func Parse(document string) (*Metadata, error) {
	r := reader{decoder: xml.NewDecoder(strings.NewReader(document))}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	return &r.metadata, nil
}

// reader goes through a document once. The elements that it is in are its path.
type reader struct {
	decoder  *xml.Decoder
	path     []xml.Name
	metadata Metadata
	elements int  // and attributes that have begun
	rooted   bool // the root has begun
	speaks   bool // the IDPSSODescriptor that it is in speaks SAML 2.0
	provides bool // there was one that does
	signs    bool // the KeyDescriptor that it is in is for signing
	text     strings.Builder
}

// pathToCertificate leads to a certificate that the provider signs or encrypts by.
var pathToCertificate = []xml.Name{
	{Space: namespaceMetadata, Local: "EntityDescriptor"},
	{Space: namespaceMetadata, Local: "IDPSSODescriptor"},
	{Space: namespaceMetadata, Local: "KeyDescriptor"},
	{Space: namespaceSignature, Local: "KeyInfo"},
	{Space: namespaceSignature, Local: "X509Data"},
	{Space: namespaceSignature, Local: "X509Certificate"},
}

// Depths of the elements on that path.
const (
	depthEntity = iota + 1
	depthProvider
	depthKey
)

func (r *reader) read() error {
	for {
		token, err := r.decoder.Token()
		switch {
		case errors.Is(err, io.EOF):
			return r.whole()
		case err != nil:
			return fmt.Errorf("read XML: %w", err)
		}
		if err := r.take(token); err != nil {
			return err
		}
	}
}

// whole says what a document that has ended lacks.
func (r *reader) whole() error {
	switch {
	case !r.provides:
		return errors.New("no IDPSSODescriptor of SAML 2.0")
	case len(r.metadata.Signing) == 0:
		return errors.New("no certificate to sign with")
	}
	return nil
}

func (r *reader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return errors.New("a document type")
	case xml.StartElement:
		return r.begin(t)
	case xml.CharData:
		if len(r.path) == 0 && strings.TrimSpace(string(t)) != "" {
			return errors.New("text outside of the root")
		}
		if r.atCertificate() {
			r.text.Write(t)
		}
	case xml.EndElement:
		if r.atCertificate() {
			if err := r.addCertificate(); err != nil {
				return err
			}
		}
		r.path = r.path[:len(r.path)-1]
	}
	return nil
}

func (r *reader) begin(e xml.StartElement) error {
	if len(r.path) == 0 && r.rooted {
		return errors.New("two roots")
	}
	if r.elements += 1 + len(e.Attr); r.elements > MaxElements {
		return fmt.Errorf("more than %d elements and attributes", MaxElements)
	}
	if len(r.path) == maxDepth {
		return fmt.Errorf("more than %d elements in each other", maxDepth)
	}
	r.path = append(r.path, e.Name)
	switch {
	case len(r.path) == depthEntity:
		return r.beginEntity(e)
	case r.on(depthProvider):
		r.speaks = slices.Contains(strings.Fields(attribute(e, "protocolSupportEnumeration")), protocol)
		r.provides = r.provides || r.speaks
		return r.expire(e)
	case r.on(depthKey):
		use := attribute(e, "use")
		r.signs = r.speaks && (use == "" || use == "signing")
	case r.atCertificate():
		r.text.Reset()
	}
	return nil
}

func (r *reader) beginEntity(e xml.StartElement) error {
	r.rooted = true
	id := attribute(e, "entityID")
	switch {
	case !r.on(depthEntity):
		return errors.New("the root is not an EntityDescriptor")
	case id == "" || len([]rune(id)) > MaxEntityID:
		return fmt.Errorf("an entityID is to have 1 to %d characters", MaxEntityID)
	}
	r.metadata.EntityID = id
	return r.expire(e)
}

// on tells that the reader is in an element of the path to a certificate, at that depth.
func (r *reader) on(depth int) bool {
	return len(r.path) == depth && slices.Equal(r.path, pathToCertificate[:depth])
}

func (r *reader) atCertificate() bool { return r.signs && r.on(len(pathToCertificate)) }

// expire notes when what begins expires, if it says so and nothing did earlier.
func (r *reader) expire(e xml.StartElement) error {
	text := attribute(e, "validUntil")
	if text == "" {
		return nil
	}
	until, err := time.Parse(time.RFC3339Nano, text)
	if err != nil { // a time without a zone is UTC, too (section 1.3.3 of SAML's core)
		if until, err = time.Parse("2006-01-02T15:04:05.999999999", text); err != nil {
			return fmt.Errorf("validUntil: %w", err)
		}
	}
	if r.metadata.ValidUntil.IsZero() || until.Before(r.metadata.ValidUntil) {
		r.metadata.ValidUntil = until.UTC()
	}
	return nil
}

func (r *reader) addCertificate() error {
	if len(r.metadata.Signing) == MaxCertificates {
		return fmt.Errorf("more than %d certificates", MaxCertificates)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(r.text.String()), ""))
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < MinKeyBits {
		return fmt.Errorf("certificate: a key of %d bits", key.N.BitLen())
	}
	r.metadata.Signing = append(r.metadata.Signing, c)
	return nil
}

// attribute is that of an element by a name without a namespace.
func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name == (xml.Name{Local: name}) {
			return a.Value
		}
	}
	return ""
}
