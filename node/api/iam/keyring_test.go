package iam_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/seal"
)

// The credentials of all users come in pages, each once, and none of other accounts,
// whatever the marker says.
func TestPagesOfAllUsersCredentials(t *testing.T) {
	w := newWorld(t)
	create := func(of identity.AccountID, user string) {
		mustDecide(t, w, &identity.CreateUser{Account: of, ID: identity.ID("AIDA" + user), Name: user, Path: "/"})
		for _, n := range []string{"1", "2"} {
			mustDecide(t, w, &identity.CreateServiceCredential{Account: of, User: user, ID: "ACCA" + n + user, Service: "codecommit.amazonaws.com"})
		}
	}
	for i := range 7 {
		create(account, fmt.Sprintf("u%d", i))
	}
	create(other, "stranger")
	var seen []string
	got := pages(t, w, func(m *string) any {
		return &sdk.ListServiceSpecificCredentialsInput{Marker: m, MaxItems: aws.Int32(3), AllUsers: aws.Bool(true)}
	}, func(o *sdk.ListServiceSpecificCredentialsOutput) (int, bool, *string) {
		for _, s := range o.ServiceSpecificCredentials {
			seen = append(seen, *s.ServiceSpecificCredentialId)
		}
		return len(o.ServiceSpecificCredentials), o.IsTruncated, o.Marker
	})
	slices.Sort(seen)
	if !slices.Equal(got, []int{3, 3, 3, 3, 2}) || len(slices.Compact(seen)) != 14 {
		t.Errorf("pages of %v: %v", got, seen)
	}
	for _, after := range []string{"AIDAstranger/ACCA", "AIDAstranger/", "AIDAnobody/x", "/"} {
		forged := base64.RawURLEncoding.EncodeToString([]byte("ListServiceSpecificCredentials\x00" + after))
		out := must[*sdk.ListServiceSpecificCredentialsOutput](w, &sdk.ListServiceSpecificCredentialsInput{Marker: &forged, AllUsers: aws.Bool(true)})
		for _, s := range out.ServiceSpecificCredentials {
			if *s.UserName == "stranger" {
				t.Errorf("after %s comes %s", after, *s.ServiceSpecificCredentialId)
			}
		}
	}
}

func TestCredentialsExpire(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("ada")})
	must[*sdk.CreateServiceSpecificCredentialOutput](w, &sdk.CreateServiceSpecificCredentialInput{UserName: aws.String("ada"),
		ServiceName: aws.String("bedrock.amazonaws.com"), CredentialAgeDays: aws.Int32(1)})
	status := func() types.StatusType {
		return must[*sdk.ListServiceSpecificCredentialsOutput](w, &sdk.ListServiceSpecificCredentialsInput{UserName: aws.String("ada")}).ServiceSpecificCredentials[0].Status
	}
	const day = 24 * 60 * 60 * 1000
	if w.now += day - 1; status() != types.StatusTypeActive {
		t.Errorf("it is %s within a day", status())
	}
	if w.now++; status() != types.StatusTypeExpired {
		t.Errorf("it is %s after a day", status())
	}
}

// What is secret is in no command in the clear, and opens for what it was sealed for.
func TestSecretsAreSealed(t *testing.T) {
	w := newWorld(t)
	must[*sdk.CreateUserOutput](w, &sdk.CreateUserInput{UserName: aws.String("ada")})
	secret := *must[*sdk.CreateServiceSpecificCredentialOutput](w, &sdk.CreateServiceSpecificCredentialInput{UserName: aws.String("ada"),
		ServiceName: aws.String("cassandra.amazonaws.com")}).ServiceSpecificCredential.ServicePassword
	created := w.last.batch.Events[0].(*identity.ServiceCredentialCreated)
	key := files()["site.key"]
	must[*sdk.UploadServerCertificateOutput](w, &sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("site"),
		CertificateBody: aws.String(files()["site.crt"]), PrivateKey: &key})
	uploaded := w.last.batch.Events[0].(*identity.ServerCertificateUploaded)
	for _, c := range []struct {
		purpose    seal.Purpose
		id, secret string
		sealed     []byte
	}{
		{seal.ServiceCredentialSecret, created.ID, secret, created.Sealed},
		{seal.ServerCertificateKey, string(uploaded.ID), key, uploaded.Sealed},
	} {
		plain, err := w.key.Open(c.purpose, seal.AccessKeyContext(string(account), c.id), c.sealed)
		if err != nil || string(plain) != c.secret || bytes.Contains(c.sealed, []byte(c.secret)) {
			t.Errorf("%s: %v", c.purpose, err)
		}
		if _, err := w.key.Open(seal.AccessKeySecret, seal.AccessKeyContext(string(account), c.id), c.sealed); err == nil {
			t.Errorf("%s opens as an access key", c.purpose)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", uploaded), "PRIVATE KEY") {
		t.Error("the event has the private key")
	}
}

func TestChainsAreBounded(t *testing.T) {
	w := newWorld(t)
	_, err := w.do(&sdk.UploadServerCertificateInput{ServerCertificateName: aws.String("site"), CertificateBody: aws.String(files()["site.crt"]),
		PrivateKey: aws.String(files()["site.key"]), CertificateChain: aws.String(files()["inner.crt"] + strings.Repeat(" ", iam.MaxChainText))})
	var refused *iam.Error
	if !errors.As(err, &refused) || refused.Code != "LimitExceeded" {
		t.Errorf("a chain that is too long: %v", err)
	}
}

// Whatever is uploaded is refused or can be shown in each encoding.
func FuzzSSHKey(f *testing.F) {
	for name, text := range files() {
		if strings.HasSuffix(name, ".pub") || strings.HasSuffix(name, ".pem") {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		fingerprint, err := iam.Fingerprint(text)
		if err != nil {
			return
		}
		for _, encoding := range []types.EncodingType{types.EncodingTypeSsh, types.EncodingTypePem} {
			shown, err := iam.SSHKeyIn(encoding, text)
			if err != nil {
				t.Fatalf("in %s: %v", encoding, err)
			}
			if again, err := iam.Fingerprint(shown); again != fingerprint {
				t.Fatalf("in %s it is another key: %s, %v", encoding, again, err)
			}
		}
	})
}

// Nothing that is read as a certificate, a chain or a key ends the process.
func FuzzCertificates(f *testing.F) {
	for name, text := range files() {
		if strings.HasSuffix(name, ".crt") {
			f.Add(text, files()["site.key"], files()["chain.crt"])
		}
		if strings.HasSuffix(name, ".key") {
			f.Add(files()["site.crt"], text, "")
		}
	}
	f.Fuzz(func(t *testing.T, body, key, chain string) {
		c := &iam.Call{Now: 1_700_000_000_000}
		expires, err := c.CheckServerCertificate(&sdk.UploadServerCertificateInput{CertificateBody: &body, PrivateKey: &key, CertificateChain: &chain})
		if (err == nil) == (expires <= c.Now) {
			t.Fatalf("expires %d: %v", expires, err)
		}
	})
}
