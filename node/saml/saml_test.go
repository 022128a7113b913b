package saml_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/saml"
)

// idp is a document that is right.
func idp(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/idp.xml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParse(t *testing.T) {
	m, err := saml.Parse(idp(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.EntityID != "https://idp.example.com/saml" || !m.ValidUntil.IsZero() || len(m.Signing) != 1 || m.Signing[0].Subject.CommonName != "idp.example.com" {
		t.Errorf("read as %+v", m)
	}
}

// TestParseVariants changes a document that is right in one place each.
func TestParseVariants(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		fails          bool
		until          string
	}{
		{name: "a key for whatever use", old: ` use="signing"`, new: ""},
		{name: "a comment", old: "<md:NameIDFormat>", new: "<!-- here --><md:NameIDFormat>"},
		{name: "it expires", old: "<md:EntityDescriptor ", new: `<md:EntityDescriptor validUntil="2031-02-03T04:05:06Z" `, until: "2031-02-03T04:05:06Z"},
		{name: "it expires, in another zone", old: "<md:EntityDescriptor ", new: `<md:EntityDescriptor validUntil="2031-02-03T04:05:06.5+01:00" `, until: "2031-02-03T03:05:06.5Z"},
		{name: "it expires, without a zone", old: "<md:EntityDescriptor ", new: `<md:EntityDescriptor validUntil="2031-02-03T04:05:06" `, until: "2031-02-03T04:05:06Z"},
		{name: "the provider expires first", old: "<md:IDPSSODescriptor ", new: `<md:IDPSSODescriptor validUntil="2030-02-03T04:05:06Z" `, until: "2030-02-03T04:05:06Z"},

		{name: "it expires at no time", old: "<md:EntityDescriptor ", new: `<md:EntityDescriptor validUntil="soon" `, fails: true},
		{name: "another encoding", old: "UTF-8", new: "UTF-16", fails: true},
		{name: "a byte order mark", old: "<?xml", new: "\ufeff<?xml", fails: true},
		{name: "a document type", old: "<md:EntityDescriptor", new: `<!DOCTYPE x [<!ENTITY a "b">]><md:EntityDescriptor`, fails: true},
		{name: "an entity", old: "emailAddress", new: "&a;", fails: true},
		{name: "not closed", old: "</md:EntityDescriptor>", new: "", fails: true},
		{name: "two roots", old: "</md:EntityDescriptor>", new: "</md:EntityDescriptor><x/>", fails: true},
		{name: "text behind the root", old: "</md:EntityDescriptor>", new: "</md:EntityDescriptor>x", fails: true},
		{name: "another root", old: "EntityDescriptor", new: "EntitiesDescriptor", fails: true},
		{name: "another namespace", old: "SAML:2.0:metadata", new: "SAML:1.1:metadata", fails: true},
		{name: "no entityID", old: "entityID=", new: "ID=", fails: true},
		{name: "a long entityID", old: "idp.example.com/saml\"", new: strings.Repeat("x", saml.MaxEntityID) + "\"", fails: true},
		{name: "a service provider", old: "IDPSSODescriptor", new: "SPSSODescriptor", fails: true},
		{name: "an older protocol", old: "SAML:2.0:protocol", new: "SAML:1.1:protocol", fails: true},
		{name: "a key to encrypt by", old: "signing", new: "encryption", fails: true},
		{name: "no certificate", old: "X509Certificate", new: "X509CRL", fails: true},
		{name: "a certificate that is none", old: "MII", new: "MIIBfTCCASegAwIBAgIUUV6k0", fails: true},
		{name: "a certificate that is no base64", old: "MII", new: "M!I", fails: true},
		{name: "deep", old: "<md:NameIDFormat>", new: strings.Repeat("<x>", 70) + strings.Repeat("</x>", 70) + "<md:NameIDFormat>", fails: true},
	} {
		document := strings.ReplaceAll(idp(t), c.old, c.new)
		m, err := saml.Parse(document)
		switch {
		case document == idp(t):
			t.Errorf("%s: nothing was changed", c.name)
		case c.fails && !errors.Is(err, saml.ErrMetadata):
			t.Errorf("%s: %+v, %v", c.name, m, err)
		case !c.fails && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.until != "" && m.ValidUntil.Format(time.RFC3339Nano) != c.until:
			t.Errorf("%s: valid until %v", c.name, m.ValidUntil)
		}
	}
}

// TestWeakKeys puts a certificate with a key of 512 bits in the place of the document's.
func TestWeakKeys(t *testing.T) {
	const weak = "MIIBizCCATWgAwIBAgIUen8TeJu9N+2dxWG000USdS3j0QEwDQYJKoZIhvcNAQEL" +
		"BQAwGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMB4XDTI2MTEyOTIyNDczN1oX" +
		"DTQ2MTEyNDIyNDczN1owGjEYMBYGA1UEAwwPaWRwLmV4YW1wbGUuY29tMFwwDQYJ" +
		"KoZIhvcNAQEBBQADSwAwSAJBALyHBvoG6zNkKlQqsaaSwFephKKOCZ6kQJaKvMwX" +
		"DwH6+r4wHBuQ1MxAuuwGqPdMjb1oyXJko0MUMl3NVGDX5wMCAwEAAaNTMFEwHQYD" +
		"VR0OBBYEFAWm/iYsNq++M0+q9csR7qHSLRiRMB8GA1UdIwQYMBaAFAWm/iYsNq++" +
		"M0+q9csR7qHSLRiRMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADQQCi" +
		"CKdf6rtlAOcJaWs0l/Zy3T2dtNII0lDTAQLBMVROJVWeKj6GpuerzdirTndTJZDu" +
		"QjhlrC2ByDB7Jtzdlv0p"
	before, rest, _ := strings.Cut(idp(t), "<ds:X509Certificate>")
	_, after, _ := strings.Cut(rest, "</ds:X509Certificate>")
	_, err := saml.Parse(before + "<ds:X509Certificate>" + weak + "</ds:X509Certificate>" + after)
	if err == nil || !strings.Contains(err.Error(), "a key of 512 bits") {
		t.Errorf("a weak key: %v", err)
	}
}

// TestCertificatesAreBounded repeats the key of a document.
func TestCertificatesAreBounded(t *testing.T) {
	document := idp(t)
	from, to := strings.Index(document, "<md:KeyDescriptor"), strings.Index(document, "<md:NameIDFormat")
	repeated := func(n int) string { return document[:from] + strings.Repeat(document[from:to], n) + document[to:] }
	if m, err := saml.Parse(repeated(saml.MaxCertificates)); err != nil || len(m.Signing) != saml.MaxCertificates {
		t.Errorf("%d certificates: %v", saml.MaxCertificates, err)
	}
	if _, err := saml.Parse(repeated(saml.MaxCertificates + 1)); err == nil {
		t.Error("one certificate too many is taken")
	}
}

// TestElementsAreBounded adds elements, and attributes of one.
func TestElementsAreBounded(t *testing.T) {
	with := func(more string) error {
		_, err := saml.Parse(strings.Replace(idp(t), "<md:NameIDFormat>", more+"<md:NameIDFormat>", 1))
		return err
	}
	var attributes strings.Builder
	for i := range saml.MaxElements {
		fmt.Fprintf(&attributes, " a%d=''", i)
	}
	if err := with(strings.Repeat("<x/>", saml.MaxElements/2)); err != nil {
		t.Error(err)
	}
	for name, more := range map[string]string{"elements": strings.Repeat("<x/>", saml.MaxElements), "attributes": "<x" + attributes.String() + "/>"} {
		if err := with(more); err == nil || !strings.Contains(err.Error(), "elements and attributes") {
			t.Errorf("too many %s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(idp(f))
	f.Add("")
	f.Add("<a>")
	f.Add(`<!DOCTYPE a><a/>`)
	f.Fuzz(func(t *testing.T, document string) {
		m, err := saml.Parse(document)
		switch {
		case err != nil:
			if !errors.Is(err, saml.ErrMetadata) {
				t.Errorf("another error: %v", err)
			}
		case m.EntityID == "" || len(m.Signing) == 0:
			t.Errorf("read as %+v", m)
		}
	})
}

func TestPack(t *testing.T) {
	for _, document := range []string{"", idp(t), strings.Repeat(idp(t), 400)} {
		packed, err := saml.Pack(document)
		if err != nil {
			t.Fatal(err)
		}
		if len(packed) > len(document)+16 {
			t.Errorf("%d bytes are packed in %d", len(document), len(packed))
		}
		if again, err := saml.Unpack(packed); err != nil || again != document {
			t.Errorf("%d bytes come back as %d: %v", len(document), len(again), err)
		}
	}
	noise := make([]byte, saml.MaxPacked+1)
	rand.Read(noise)
	if _, err := saml.Pack(string(noise)); !errors.Is(err, saml.ErrTooLarge) {
		t.Errorf("what cannot be packed: %v", err)
	}
	if _, err := saml.Unpack([]byte("no")); err == nil {
		t.Error("what nobody packed is unpacked")
	}
}

func FuzzUnpack(f *testing.F) {
	packed, err := saml.Pack(idp(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		if text, err := saml.Unpack(packed); err == nil && len(text) > 4*saml.MaxDocument {
			t.Errorf("%d bytes come out", len(text))
		}
	})
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCheckPrivateKey(t *testing.T) {
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	key := rsaKey(t, saml.MinPrivateKeyBits)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	right := encode("PRIVATE KEY", pkcs8(key))
	for name, text := range map[string]string{"PKCS 8": right, "PKCS 1": encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))} {
		if err := saml.CheckPrivateKey(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no PEM":          "secret",
		"two blocks":      right + right,
		"text behind":     right + "x",
		"a certificate":   encode("CERTIFICATE", []byte("x")),
		"no key":          encode("PRIVATE KEY", []byte("x")),
		"a curve":         encode("PRIVATE KEY", pkcs8(curve)),
		"a short key":     encode("PRIVATE KEY", pkcs8(rsaKey(t, 1024))),
		"longer than any": encode("PRIVATE KEY", make([]byte, 6<<10)),
		"encrypted":       "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
	} {
		err := saml.CheckPrivateKey(text)
		if !errors.Is(err, saml.ErrPrivateKey) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error quotes the key: %v", name, err)
		}
	}
}

func FuzzCheckPrivateKey(f *testing.F) {
	f.Add("")
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		if err := saml.CheckPrivateKey(text); err != nil && !errors.Is(err, saml.ErrPrivateKey) {
			t.Errorf("another error: %v", err)
		}
	})
}
