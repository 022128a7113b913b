package iam

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

// userOrCaller is the name of the user that a call is about, for what a root cannot have.
func (c *Call) userOrCaller(name *string) (string, error) {
	user, err := c.keyHolder(name)
	if err == nil && user == "" {
		err = noUserName()
	}
	return user, err
}

// ownerOf finds the user of that name, or without a name the caller. The root of an
// account has no name.
func (c *Call) ownerOf(name *string) (owner identity.ID, shown *string, err error) {
	user, err := c.keyHolder(name)
	switch {
	case err != nil:
		return "", nil, err
	case user == "":
		return identity.ID(c.Caller.Account), nil, nil
	}
	u, err := c.mustUser(&user)
	if err != nil {
		return "", nil, err
	}
	return u.ID, aws.String(u.Name), nil
}

// shownHolder is the name of the user that a call was about; nil for the root.
func (c *Call) shownHolder(name *string) *string {
	if name == nil && c.Caller.Kind == admission.KindUser {
		return aws.String(c.Caller.Name)
	}
	return name
}

// newStatus reads what a status is to become: nobody can set it to Expired.
func newStatus(what string, status types.StatusType) (active bool, err error) {
	if status != types.StatusTypeActive && status != types.StatusTypeInactive {
		return false, fail(codeInvalidInput, "The status of %s can be set to Active or Inactive, not to %s.", what, status)
	}
	return status == types.StatusTypeActive, nil
}

func shownStatus(active bool) types.StatusType {
	if active {
		return types.StatusTypeActive
	}
	return types.StatusTypeInactive
}
