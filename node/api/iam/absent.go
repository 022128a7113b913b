package iam

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// absentActions are about nouns that Writ does not have yet, and answer as AWS
// does where there are none: tools list them before they delete a user or role,
// and read them when they plan.
func absentActions() []Action {
	return []Action{
		read("ListMFADevices", listMFADevices{}),
		read("ListVirtualMFADevices", listVirtualMFADevices{}),
	}
}

type listMFADevices struct{}

func (listMFADevices) Access(c *Call, in *sdk.ListMFADevicesInput) []Access {
	return []Access{c.onSelf(in.UserName)}
}

func (listMFADevices) Answer(c *Call, in *sdk.ListMFADevicesInput) (*sdk.ListMFADevicesOutput, error) {
	return &sdk.ListMFADevicesOutput{MFADevices: []types.MFADevice{}}, cmp.Or(noPage(in.Marker), c.checkUser(in.UserName))
}

type listVirtualMFADevices struct{}

func (listVirtualMFADevices) Access(c *Call, _ *sdk.ListVirtualMFADevicesInput) []Access {
	return []Access{c.absent("mfa/", nil)}
}

func (listVirtualMFADevices) Answer(_ *Call, in *sdk.ListVirtualMFADevicesInput) (*sdk.ListVirtualMFADevicesOutput, error) {
	return &sdk.ListVirtualMFADevicesOutput{VirtualMFADevices: []types.VirtualMFADevice{}}, noPage(in.Marker)
}

// absent is the access to an entity of a noun that Writ does not have yet.
func (c *Call) absent(noun string, name *string) Access {
	return Access{Resource: "arn:aws:iam::" + string(c.Caller.Account) + ":" + noun + aws.ToString(name), Account: c.Caller.Account}
}

// noPage refuses a marker: a list that is empty has no second page.
func noPage(marker *string) error {
	if marker != nil {
		return fail(codeValidationError, "Invalid Marker.")
	}
	return nil
}

// checkUser fails where a user is named that is not there.
func (c *Call) checkUser(name *string) error {
	if name == nil {
		return nil
	}
	_, err := c.mustUser(name)
	return err
}
