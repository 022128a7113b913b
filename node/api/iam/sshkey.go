package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

func sshKeyActions() []Action {
	return []Action{
		write("DeleteSSHPublicKey", deleteSSHPublicKey{}),
		read("GetSSHPublicKey", getSSHPublicKey{}),
		read("ListSSHPublicKeys", listSSHPublicKeys{}),
		write("UpdateSSHPublicKey", updateSSHPublicKey{}),
		write("UploadSSHPublicKey", uploadSSHPublicKey{}),
	}
}

type uploadSSHPublicKey struct{}

func (uploadSSHPublicKey) Access(c *Call, in *sdk.UploadSSHPublicKeyInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (uploadSSHPublicKey) Command(c *Call, in *sdk.UploadSSHPublicKeyInput) (identity.Command, error) {
	body := aws.ToString(in.SSHPublicKeyBody)
	key, err := parseSSHKey(body)
	if err != nil {
		return nil, err
	}
	return &identity.UploadSSHPublicKey{Account: c.Caller.Account, User: aws.ToString(in.UserName), ID: string(c.newID(identity.PublicKeyIDPrefix)),
		Body: body, Fingerprint: key.fingerprint()}, nil
}

func (uploadSSHPublicKey) Render(_ *Call, in *sdk.UploadSSHPublicKeyInput, b *event.Batch) (*sdk.UploadSSHPublicKeyOutput, error) {
	e, err := one[*identity.SSHPublicKeyUploaded](b)
	if err != nil {
		return nil, err
	}
	shown := shownSSHKey(identity.SSHPublicKey{ID: e.ID, Body: e.Body, Fingerprint: e.Fingerprint, Active: true, Uploaded: e.Uploaded}, in.UserName)
	return &sdk.UploadSSHPublicKeyOutput{SSHPublicKey: shown}, nil
}

func shownSSHKey(k identity.SSHPublicKey, user *string) *types.SSHPublicKey {
	return &types.SSHPublicKey{Fingerprint: aws.String(k.Fingerprint), SSHPublicKeyBody: aws.String(k.Body), SSHPublicKeyId: aws.String(k.ID),
		Status: shownStatus(k.Active), UploadDate: shownTime(k.Uploaded), UserName: user}
}

type getSSHPublicKey struct{}

func (getSSHPublicKey) Access(c *Call, in *sdk.GetSSHPublicKeyInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

// Answer shows a key as it was uploaded, if that is the encoding asked for.
func (getSSHPublicKey) Answer(c *Call, in *sdk.GetSSHPublicKeyInput) (*sdk.GetSSHPublicKeyOutput, error) {
	u, err := c.mustUser(in.UserName)
	if err != nil {
		return nil, err
	}
	for _, k := range c.state().Keyring(u.ID).SSHKeys {
		if k.ID != aws.ToString(in.SSHPublicKeyId) {
			continue
		}
		if k.Body, err = sshKeyIn(in.Encoding, k.Body); err != nil {
			return nil, err
		}
		return &sdk.GetSSHPublicKeyOutput{SSHPublicKey: shownSSHKey(k, aws.String(u.Name))}, nil
	}
	return nil, fail(codeNoSuchEntity, "The Public Key with id %s cannot be found.", aws.ToString(in.SSHPublicKeyId))
}

type listSSHPublicKeys struct{}

func (listSSHPublicKeys) Access(c *Call, in *sdk.ListSSHPublicKeysInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listSSHPublicKeys) Answer(c *Call, in *sdk.ListSSHPublicKeysInput) (*sdk.ListSSHPublicKeysOutput, error) {
	name, err := c.userOrCaller(in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := c.mustUser(&name)
	if err != nil {
		return nil, err
	}
	id := func(k identity.SSHPublicKey) string { return k.ID }
	list := sorted(c.state().Keyring(u.ID).SSHKeys, id)
	p, err := paginate("ListSSHPublicKeys", in.Marker, in.MaxItems, list, id, func(k identity.SSHPublicKey) (types.SSHPublicKeyMetadata, bool) {
		return types.SSHPublicKeyMetadata{SSHPublicKeyId: aws.String(k.ID), Status: shownStatus(k.Active), UploadDate: shownTime(k.Uploaded),
			UserName: aws.String(u.Name)}, true
	})
	return &sdk.ListSSHPublicKeysOutput{SSHPublicKeys: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type updateSSHPublicKey struct {
	nothing[sdk.UpdateSSHPublicKeyInput, sdk.UpdateSSHPublicKeyOutput]
}

func (updateSSHPublicKey) Access(c *Call, in *sdk.UpdateSSHPublicKeyInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (updateSSHPublicKey) Command(c *Call, in *sdk.UpdateSSHPublicKeyInput) (identity.Command, error) {
	active, err := newStatus("an SSH public key", in.Status)
	if err != nil {
		return nil, err
	}
	return &identity.UpdateSSHPublicKey{Account: c.Caller.Account, User: aws.ToString(in.UserName), ID: aws.ToString(in.SSHPublicKeyId), Active: active}, nil
}

type deleteSSHPublicKey struct {
	nothing[sdk.DeleteSSHPublicKeyInput, sdk.DeleteSSHPublicKeyOutput]
}

func (deleteSSHPublicKey) Access(c *Call, in *sdk.DeleteSSHPublicKeyInput) []Access {
	return []Access{c.on(identity.KindUser, in.UserName)}
}

func (deleteSSHPublicKey) Command(c *Call, in *sdk.DeleteSSHPublicKeyInput) (identity.Command, error) {
	return &identity.DeleteSSHPublicKey{Account: c.Caller.Account, User: aws.ToString(in.UserName), ID: aws.ToString(in.SSHPublicKeyId)}, nil
}
