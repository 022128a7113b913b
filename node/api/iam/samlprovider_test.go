package iam_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/saml"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/thumbprint"
)

func metadata(t *testing.T) *string {
	t.Helper()
	return aws.String(idpMetadata())
}

// TestSAMLKeys adds a private key, which nobody is told again and the state holds sealed.
func TestSAMLKeys(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, saml.MinPrivateKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	w := newWorld(t)
	arn := must[*sdk.CreateSAMLProviderOutput](w, &sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: metadata(t),
		AddPrivateKey: &text, AssertionEncryptionMode: types.AssertionEncryptionModeTypeRequired}).SAMLProviderArn
	must[*sdk.UpdateSAMLProviderOutput](w, &sdk.UpdateSAMLProviderInput{SAMLProviderArn: arn, AddPrivateKey: &text})
	if _, err := w.do(&sdk.UpdateSAMLProviderInput{SAMLProviderArn: arn, AddPrivateKey: &text}); err == nil || !strings.HasPrefix(err.Error(), "LimitExceeded: ") {
		t.Errorf("one key too many: %v", err)
	}

	shown := must[*sdk.GetSAMLProviderOutput](w, &sdk.GetSAMLProviderInput{SAMLProviderArn: arn})
	form := regexp.MustCompile(`^[A-Z0-9]{22,64}$`)
	if len(shown.PrivateKeyList) != 2 || shown.AssertionEncryptionMode != types.AssertionEncryptionModeTypeRequired || !form.MatchString(*shown.SAMLProviderUUID) {
		t.Errorf("shown is %s", compact(shown))
	}
	p, _ := w.state.SAMLProvider(*arn)
	for i, k := range p.Keys {
		if *shown.PrivateKeyList[i].KeyId != k.ID || !form.MatchString(k.ID) {
			t.Errorf("key %s is shown as %s", k.ID, *shown.PrivateKeyList[i].KeyId)
		}
		if opened, err := w.key.Open(seal.SAMLPrivateKey, seal.SAMLKeyContext(*arn, k.ID), k.Sealed); err != nil || string(opened) != text {
			t.Errorf("key %s opens as %q, %v", k.ID, opened, err)
		}
		if _, err := w.key.Open(seal.SAMLPrivateKey, seal.SAMLKeyContext(*arn+"2", k.ID), k.Sealed); err == nil {
			t.Errorf("key %s opens for another provider", k.ID)
		}
	}
	if all := compact(shown) + fmt.Sprint(*p); strings.Contains(all, "PRIVATE KEY") || strings.Contains(all, text[64:128]) {
		t.Error("a private key shows")
	}

	must[*sdk.UpdateSAMLProviderOutput](w, &sdk.UpdateSAMLProviderInput{SAMLProviderArn: arn, RemovePrivateKey: &p.Keys[0].ID})
	if _, err := w.do(&sdk.UpdateSAMLProviderInput{SAMLProviderArn: arn, RemovePrivateKey: &p.Keys[1].ID}); err == nil || !strings.HasPrefix(err.Error(), "InvalidInput: ") {
		t.Errorf("the last key, which is required: %v", err)
	}
}

// TestSummaryOfSettings looks for providers and the version of tokens in the summary.
func TestSummaryOfSettings(t *testing.T) {
	w := newWorld(t)
	holds := func(providers, version int32) {
		t.Helper()
		m := must[*sdk.GetAccountSummaryOutput](w, &sdk.GetAccountSummaryInput{}).SummaryMap
		if m["Providers"] != providers || m["GlobalEndpointTokenVersion"] != version {
			t.Errorf("there are %d providers, and tokens are of version %d", m["Providers"], m["GlobalEndpointTokenVersion"])
		}
	}
	holds(0, 1)
	must[*sdk.CreateSAMLProviderOutput](w, &sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: metadata(t)})
	must[*sdk.CreateOpenIDConnectProviderOutput](w, &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://idp.example.com")})
	must[*sdk.SetSecurityTokenServicePreferencesOutput](w, &sdk.SetSecurityTokenServicePreferencesInput{GlobalEndpointTokenVersion: types.GlobalEndpointTokenVersionV2Token})
	holds(2, 2)
}

// TestLargeMetadata brings a document that does not compress.
func TestLargeMetadata(t *testing.T) {
	noise := make([]byte, 2*saml.MaxPacked)
	rand.Read(noise)
	document := strings.Replace(*metadata(t), "</md:EntityDescriptor>", fmt.Sprintf("<!-- %x --></md:EntityDescriptor>", noise), 1)
	_, err := newWorld(t).do(&sdk.CreateSAMLProviderInput{Name: aws.String("corp"), SAMLMetadataDocument: &document})
	if err == nil || !strings.HasPrefix(err.Error(), "LimitExceeded: ") {
		t.Errorf("a document that is too large: %v", err)
	}
}

// TestThumbprintsOfPrivateHosts makes a provider at an address that may not be asked.
func TestThumbprintsOfPrivateHosts(t *testing.T) {
	w := newWorld(t)
	action, _ := iam.Find("CreateOpenIDConnectProvider")
	call := w.call()
	call.Thumbprints = thumbprint.New(thumbprint.Public)
	_, err := action.Command(call, &sdk.CreateOpenIDConnectProviderInput{Url: aws.String("https://127.0.0.1/x")})
	var said *iam.Error
	if !errors.As(err, &said) || said.Code != "OpenIdIdpCommunicationError" || strings.Contains(said.Message, "public") {
		t.Errorf("refused with %v", err)
	}
}
