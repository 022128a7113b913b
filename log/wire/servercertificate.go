package wire

import "github.com/writ-iam/writ/log/identity"

// The forms of server certificates: of their commands, of their events, of their record.

func uploadServerCertificate(c *coder, v *identity.UploadServerCertificate) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Body)
	str(c, &v.Chain)
	c.blob(&v.Sealed)
	num(c, &v.Expires)
	list(c, &v.Tags, tag)
}

func updateServerCertificate(c *coder, v *identity.UpdateServerCertificate) {
	atom(c, &v.Account)
	str(c, &v.Name)
	str(c, &v.NewName)
	atom(c, &v.NewPath)
}

func deleteServerCertificate(c *coder, v *identity.DeleteServerCertificate) {
	atom(c, &v.Account)
	str(c, &v.Name)
}

func serverCertificateUploaded(c *coder, v *identity.ServerCertificateUploaded) {
	atom(c, &v.Account)
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Body)
	str(c, &v.Chain)
	c.blob(&v.Sealed)
	num(c, &v.Expires)
	list(c, &v.Tags, tag)
	num(c, &v.Uploaded)
}

func serverCertificateUpdated(c *coder, v *identity.ServerCertificateUpdated) {
	str(c, &v.ID)
	str(c, &v.Name)
	atom(c, &v.Path)
}

func serverCertificateDeleted(c *coder, v *identity.ServerCertificateDeleted) { str(c, &v.ID) }

func serverCertificate(c *coder, v *identity.ServerCertificate) {
	str(c, &v.ID)
	atom(c, &v.Account)
	str(c, &v.Name)
	atom(c, &v.Path)
	str(c, &v.Body)
	str(c, &v.Chain)
	c.blob(&v.Sealed)
	num(c, &v.Uploaded)
	num(c, &v.Expires)
	list(c, &v.Tags, tag)
}
