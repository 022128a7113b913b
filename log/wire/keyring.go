package wire

import "github.com/writ-iam/writ/log/identity"

// The forms of what is in keyrings: of its commands, of its events, of its record.

func uploadSSHPublicKey(c *coder, v *identity.UploadSSHPublicKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	str(c, &v.Body)
	str(c, &v.Fingerprint)
}

func updateSSHPublicKey(c *coder, v *identity.UpdateSSHPublicKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func deleteSSHPublicKey(c *coder, v *identity.DeleteSSHPublicKey) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
}

func uploadSigningCertificate(c *coder, v *identity.UploadSigningCertificate) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	str(c, &v.Body)
	c.fixed(v.Sum[:])
}

func updateSigningCertificate(c *coder, v *identity.UpdateSigningCertificate) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func deleteSigningCertificate(c *coder, v *identity.DeleteSigningCertificate) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
}

func createServiceCredential(c *coder, v *identity.CreateServiceCredential) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	atom(c, &v.Service)
	c.blob(&v.Sealed)
	num(c, &v.Days)
}

func updateServiceCredential(c *coder, v *identity.UpdateServiceCredential) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func resetServiceCredential(c *coder, v *identity.ResetServiceCredential) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
	c.blob(&v.Sealed)
}

func deleteServiceCredential(c *coder, v *identity.DeleteServiceCredential) {
	atom(c, &v.Account)
	str(c, &v.User)
	str(c, &v.ID)
}

func sshPublicKeyUploaded(c *coder, v *identity.SSHPublicKeyUploaded) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	str(c, &v.Body)
	str(c, &v.Fingerprint)
	num(c, &v.Uploaded)
}

func sshPublicKeyUpdated(c *coder, v *identity.SSHPublicKeyUpdated) {
	str(c, &v.Owner)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func sshPublicKeyDeleted(c *coder, v *identity.SSHPublicKeyDeleted) {
	str(c, &v.Owner)
	str(c, &v.ID)
}

func signingCertificateUploaded(c *coder, v *identity.SigningCertificateUploaded) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	str(c, &v.Body)
	c.fixed(v.Sum[:])
	num(c, &v.Uploaded)
}

func signingCertificateUpdated(c *coder, v *identity.SigningCertificateUpdated) {
	str(c, &v.Owner)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func signingCertificateDeleted(c *coder, v *identity.SigningCertificateDeleted) {
	str(c, &v.Owner)
	str(c, &v.ID)
}

func serviceCredentialCreated(c *coder, v *identity.ServiceCredentialCreated) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	atom(c, &v.Service)
	str(c, &v.Name)
	c.blob(&v.Sealed)
	num(c, &v.Created)
	num(c, &v.Expires)
}

func serviceCredentialUpdated(c *coder, v *identity.ServiceCredentialUpdated) {
	str(c, &v.Owner)
	str(c, &v.ID)
	c.flag(&v.Active)
}

func serviceCredentialReset(c *coder, v *identity.ServiceCredentialReset) {
	atom(c, &v.Account)
	str(c, &v.Owner)
	str(c, &v.ID)
	c.blob(&v.Sealed)
}

func serviceCredentialDeleted(c *coder, v *identity.ServiceCredentialDeleted) {
	str(c, &v.Owner)
	str(c, &v.ID)
}

func keyring(c *coder, v *identity.Keyring) {
	str(c, &v.Owner)
	atom(c, &v.Account)
	list(c, &v.SSHKeys, sshPublicKey)
	list(c, &v.Certificates, signingCertificate)
	list(c, &v.Services, serviceCredential)
}

func sshPublicKey(c *coder, v *identity.SSHPublicKey) {
	str(c, &v.ID)
	str(c, &v.Body)
	str(c, &v.Fingerprint)
	c.flag(&v.Active)
	num(c, &v.Uploaded)
}

func signingCertificate(c *coder, v *identity.SigningCertificate) {
	str(c, &v.ID)
	str(c, &v.Body)
	c.fixed(v.Sum[:])
	c.flag(&v.Active)
	num(c, &v.Uploaded)
}

func serviceCredential(c *coder, v *identity.ServiceCredential) {
	str(c, &v.ID)
	atom(c, &v.Service)
	str(c, &v.Name)
	c.blob(&v.Sealed)
	c.flag(&v.Active)
	num(c, &v.Created)
	num(c, &v.Expires)
}
