package iam_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/saml"
	"github.com/writ-iam/writ/node/thumbprint"
)

// heavy are calls that read certificates, keys or metadata.
func heavy(t *testing.T) map[string]any {
	key, err := rsa.GenerateKey(rand.Reader, saml.MinPrivateKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	secret := block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	return map[string]any{
		"a certificate": &sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("new"), CertificateBody: aws.String(files()["site.crt"]),
			PrivateKey: aws.String(files()["site.key"]), CertificateChain: aws.String(files()["chain.crt"])},
		"metadata":       &sdk.CreateSAMLProviderInput{Name: aws.String("new"), SAMLMetadataDocument: metadata(t)},
		"other metadata": &sdk.UpdateSAMLProviderInput{SAMLProviderArn: aws.String(corpARN), SAMLMetadataDocument: metadata(t)},
		"a key":          &sdk.UpdateSAMLProviderInput{SAMLProviderArn: aws.String(corpARN), AddPrivateKey: &secret},
		"a report":       &sdk.GetCredentialReportInput{},
	}
}

func (w *world) run(call *iam.Call, in any) error {
	action, _ := w.action(in)
	if !action.Write {
		_, err := action.Answer(call, in)
		return err
	}
	_, err := action.Command(call, in)
	return err
}

// What identity providers hand out is read back without a place: others may have taken them.
func TestSmallMetadataWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateSAMLProviderOutput](w, &sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: metadata(t)})
	places := w.documents.Requests()
	if err := places.Take(string(w.caller.ID), places.Share()); err != nil {
		t.Fatal(err)
	}
	must[*sdk.GetSAMLProviderOutput](w, &sdk.GetSAMLProviderInput{SAMLProviderArn: aws.String(corpARN)})
}

// Certificates, keys, metadata and reports are read in a workshop, in which a caller has a share,
// and once in a request however often it is authorized.
func TestHeavyCalls(t *testing.T) {
	for name, in := range heavy(t) {
		w := newWorld(t)
		must[*sdk.CreateSAMLProviderOutput](w, &sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: metadata(t)})
		must[*sdk.GenerateCredentialReportOutput](w, &sdk.GenerateCredentialReportInput{})
		w.writeReports()
		call := w.call()
		if err := w.run(call, in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		places := w.documents.Requests()
		if n := places.Taken(); n != 0 {
			t.Errorf("%s: %d places are kept", name, n)
		}
		if err := places.Take(string(w.caller.ID), places.Share()); err != nil {
			t.Fatal(err)
		}
		var f *fault.Fault
		if err := w.run(w.call(), in); !errors.As(err, &f) || !f.Retry() || !errors.Is(err, admission.ErrBusy) {
			t.Errorf("%s, with no place for the caller: %v", name, err)
		}
		again := w.call()
		again.Bench = call.Bench
		if err := w.run(again, in); err != nil {
			t.Errorf("%s, authorized anew: %v", name, err)
		}
	}
}

// What the state refuses is refused before anything is read for it, or anybody asked.
func TestRefusalsAreForeseen(t *testing.T) {
	w := newWorld(t)
	certificate := &sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("site"), CertificateBody: aws.String(files()["site.crt"]), PrivateKey: aws.String(files()["site.key"])}
	provider := &sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: metadata(t)}
	issuer := &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://127.0.0.1/x")}
	must[*sdk.UploadServerCertificateOutput](w, certificate)
	must[*sdk.CreateSAMLProviderOutput](w, provider)
	must[*sdk.CreateOpenIDConnectProviderOutput](w, issuer)
	places := w.documents.Requests()
	if err := places.Take(string(w.caller.ID), places.Share()); err != nil {
		t.Fatal(err)
	}
	for want, in := range map[identity.Code][]any{
		identity.EntityAlreadyExists: {certificate, provider, issuer},
		identity.NoSuchEntity:        {&sdk.UpdateSAMLProviderInput{SAMLProviderArn: aws.String(corpARN + "2"), SAMLMetadataDocument: metadata(t)}},
	} {
		for _, in := range in {
			call := w.call()
			call.Thumbprints = thumbprint.New(thumbprint.Public)
			var refusal *identity.Refusal
			if err := w.run(call, in); !errors.As(err, &refusal) || refusal.Code != want {
				t.Errorf("%T: %v", in, err)
			}
		}
	}
}

// A call that took effect before works nothing out, whatever it is: the command that it
// becomes is answered by its key, and is refused should that be forgotten.
func TestNothingIsWorkedOutAgain(t *testing.T) {
	w := inhabited(t)
	for _, action := range writes() {
		call := w.call()
		call.Repeated, call.Thumbprints = true, thumbprint.New(thumbprint.Public)
		command, err := action.Command(call, action.New())
		if err != nil {
			t.Errorf("%s: %v", action.Name, err)
			continue
		}
		if _, err := w.decide(command); err == nil {
			t.Errorf("%s is decided although nothing was worked out", action.Name)
		}
	}
}

// What was fetched for a request stands while it is authorized anew.
func TestThumbprintsAreFetchedOnce(t *testing.T) {
	w := newWorld(t)
	in := &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://127.0.0.1/x")}
	call, again := w.call(), w.call()
	call.Thumbprints, again.Thumbprints = thumbprint.New(thumbprint.Nowhere), thumbprint.New(thumbprint.Public)
	again.Bench = call.Bench
	if err := errors.Join(w.run(call, in), w.run(again, in)); err != nil {
		t.Error(err)
	}
}

// Keys that take long to check signatures by are in no certificate that is taken.
func TestCertificateKeysAreBounded(t *testing.T) {
	modulus := func(bits int) *rsa.PublicKey {
		return &rsa.PublicKey{N: testModulus(bits, uint64(bits)), E: iam.MaxExponent}
	}
	wide := modulus(2048)
	wide.E += 2
	for name, c := range map[string]struct {
		key  *rsa.PublicKey
		want string
	}{
		"the longest":    {modulus(iam.MaxCertificateBits), ""},
		"too long":       {modulus(iam.MaxCertificateBits + 8), "InvalidCertificate"},
		"large exponent": {wide, "InvalidCertificate"},
	} {
		w := newWorld(t)
		_, err := w.do(&sdk.UploadSigningCertificateInput{CertificateBody: aws.String(certified(c.key))})
		var said *iam.Error
		if errors.As(err, &said); (err == nil) != (c.want == "") || said != nil && said.Code != c.want {
			t.Errorf("%s: %v", name, err)
		}
		_, err = w.do(&sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("x"), CertificateBody: aws.String(certified(c.key)), PrivateKey: aws.String(files()["site.key"])})
		if errors.As(err, &said); said == nil || (said.Code == "KeyPairMismatch") != (c.want == "") {
			t.Errorf("%s, of a server: %v", name, err)
		}
	}
	long := block("RSA PRIVATE KEY", make([]byte, iam.MaxKeyDER+1))
	_, err := newWorld(t).do(&sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("x"), CertificateBody: aws.String(files()["site.crt"]), PrivateKey: &long})
	if err == nil || err.Error() != "MalformedCertificate: The private key is longer than that of any certificate that is supported." {
		t.Errorf("a long private key: %v", err)
	}
}
