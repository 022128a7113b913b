package iam

import (
	"crypto/sha256"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// signingCertificateActions are about the caller's own certificates when they name no
// user, the root's among them.
func signingCertificateActions() []Action {
	return []Action{
		write("DeleteSigningCertificate", deleteSigningCertificate{}),
		read("ListSigningCertificates", listSigningCertificates{}),
		write("UpdateSigningCertificate", updateSigningCertificate{}),
		write("UploadSigningCertificate", uploadSigningCertificate{}),
	}
}

type uploadSigningCertificate struct{}

func (uploadSigningCertificate) Access(c *Call, in *sdk.UploadSigningCertificateInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (uploadSigningCertificate) Command(c *Call, in *sdk.UploadSigningCertificateInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	body := aws.ToString(in.CertificateBody)
	certificate := parseCertificate(body)
	if certificate == nil {
		return nil, fail(codeMalformedCertificate, "Certificate %s is malformed.", body)
	}
	if !usableKey(certificate) {
		return nil, fail(codeInvalidCertificate, "The certificate has a key that is not supported.")
	}
	if wrong := checkValidity(certificate, c.Now); wrong != "" {
		return nil, fail(codeInvalidCertificate, "%s", wrong)
	}
	return &identity.UploadSigningCertificate{Account: c.Caller.Account, User: user, ID: randomText(c.Random, certificateIDLength),
		Body: body, Sum: sha256.Sum256(certificate.Raw)}, nil
}

func (uploadSigningCertificate) Render(c *Call, in *sdk.UploadSigningCertificateInput, b *event.Batch) (*sdk.UploadSigningCertificateOutput, error) {
	e, err := one[*identity.SigningCertificateUploaded](b)
	if err != nil {
		return nil, err
	}
	shown := shownSigningCertificate(identity.SigningCertificate{ID: e.ID, Body: e.Body, Active: true, Uploaded: e.Uploaded}, c.shownHolder(in.UserName))
	return &sdk.UploadSigningCertificateOutput{Certificate: &shown}, nil
}

// shownSigningCertificate is a certificate of the user of that name; nil for the root's.
func shownSigningCertificate(s identity.SigningCertificate, user *string) types.SigningCertificate {
	return types.SigningCertificate{CertificateBody: aws.String(s.Body), CertificateId: aws.String(s.ID), Status: shownStatus(s.Active),
		UploadDate: shownTime(s.Uploaded), UserName: user}
}

type listSigningCertificates struct{}

func (listSigningCertificates) Access(c *Call, in *sdk.ListSigningCertificatesInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listSigningCertificates) Answer(c *Call, in *sdk.ListSigningCertificatesInput) (*sdk.ListSigningCertificatesOutput, error) {
	owner, name, err := c.ownerOf(in.UserName)
	if err != nil {
		return nil, err
	}
	id := func(s identity.SigningCertificate) string { return s.ID }
	list := sorted(c.state().Keyring(owner).Certificates, id)
	p, err := paginate("ListSigningCertificates", in.Marker, in.MaxItems, list, id, func(s identity.SigningCertificate) (types.SigningCertificate, bool) {
		return shownSigningCertificate(s, name), true
	})
	return &sdk.ListSigningCertificatesOutput{Certificates: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type updateSigningCertificate struct {
	nothing[sdk.UpdateSigningCertificateInput, sdk.UpdateSigningCertificateOutput]
}

func (updateSigningCertificate) Access(c *Call, in *sdk.UpdateSigningCertificateInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (updateSigningCertificate) Command(c *Call, in *sdk.UpdateSigningCertificateInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	active, err := newStatus("a signing certificate", in.Status)
	if err != nil {
		return nil, err
	}
	return &identity.UpdateSigningCertificate{Account: c.Caller.Account, User: user, ID: aws.ToString(in.CertificateId), Active: active}, nil
}

type deleteSigningCertificate struct {
	nothing[sdk.DeleteSigningCertificateInput, sdk.DeleteSigningCertificateOutput]
}

func (deleteSigningCertificate) Access(c *Call, in *sdk.DeleteSigningCertificateInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (deleteSigningCertificate) Command(c *Call, in *sdk.DeleteSigningCertificateInput) (identity.Command, error) {
	user, err := c.keyHolder(in.UserName)
	if err != nil {
		return nil, err
	}
	return &identity.DeleteSigningCertificate{Account: c.Caller.Account, User: user, ID: aws.ToString(in.CertificateId)}, nil
}
