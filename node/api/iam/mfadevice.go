package iam

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection/policy"
)

func mfaDeviceActions() []Action {
	return []Action{
		write("CreateVirtualMFADevice", createVirtualMFADevice{}),
		write("DeactivateMFADevice", deactivateMFADevice{}),
		write("DeleteVirtualMFADevice", deleteVirtualMFADevice{}),
		write("EnableMFADevice", enableMFADevice{}),
		read("GetMFADevice", getMFADevice{}),
		read("ListMFADeviceTags", listMFADeviceTags{}),
		read("ListMFADevices", listMFADevices{}),
		read("ListVirtualMFADevices", listVirtualMFADevices{}),
		write("ResyncMFADevice", resyncMFADevice{}),
		write("TagMFADevice", tagMFADevice{}),
		write("UntagMFADevice", untagMFADevice{}),
	}
}

// deviceName is the path and name of the account's virtual device of a serial number;
// false for what is no such number.
func (c *Call) deviceName(serial *string) (string, bool) {
	return strings.CutPrefix(aws.ToString(serial), string(c.partition().SerialNumber(c.Caller.Account, "")))
}

// onDevice is the access to the device of a serial number.
func (c *Call) onDevice(serial *string) Access {
	name, ok := c.deviceName(serial)
	if !ok {
		return Access{Resource: aws.ToString(serial), Account: c.Caller.Account}
	}
	a := c.on(identity.KindMFADevice, &name)
	a.Named = aws.ToString(serial)
	return a
}

// deviceOwner is the name of the user that a device is, or is to be, enabled for; empty for
// the root, which calls itself by its account's number, or by nothing.
func (c *Call) deviceOwner(name *string) (string, error) {
	if c.Caller.Kind == admission.KindRoot && aws.ToString(name) == string(c.Caller.Account) {
		return "", nil
	}
	return c.keyHolder(name)
}

// onDeviceOwner is the access to whomever deviceOwner names.
func (c *Call) onDeviceOwner(name *string) []Access {
	if owner, err := c.deviceOwner(name); err == nil && owner == "" {
		return []Access{c.onSelf(nil)}
	}
	return []Access{c.onSelf(name)}
}

// maxSerial is how long a serial number may be that the service model takes. It bounds no
// name of a device, but one that it could not name again could be neither enabled nor
// tagged.
const maxSerial = 256

// Constraints of serial numbers, as the service model has them.
const (
	serialPattern = `[\w+=/:,.@-]+`
	tooLong       = "Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d"
)

// isSerial tells whether a text has only characters that serial numbers have.
func isSerial(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+=/:,.@-", r)
	}) < 0
}

// checkNewSerial fails for a path or a name that makes the serial number of a new device
// one that the other actions would not take. Paths of other entities may have more
// characters, and more of them.
func checkNewSerial(serial, path, name string) error {
	switch over := len(serial) - maxSerial; {
	case !isSerial(path):
		return fail(codeValidationError, "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	case over <= 0:
		return nil
	case len(name) > over:
		return fail(codeValidationError, "1 validation error detected: "+tooLong, "virtualMFADeviceName", len(name)-over)
	default:
		return fail(codeValidationError, "1 validation error detected: "+tooLong, "path", max(len(path)-over, 1))
	}
}

// checkSerial fails as the service model does for what is no serial number. An action that
// asks it takes those of devices from before checkNewSerial.
func checkSerial(serial string) error {
	var wrong []string
	if !isSerial(serial) {
		wrong = append(wrong, "Value at 'serialNumber' failed to satisfy constraint: Member must satisfy regular expression pattern: "+serialPattern)
	}
	if len(serial) > maxSerial {
		wrong = append(wrong, fmt.Sprintf(tooLong, "serialNumber", maxSerial))
	}
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return fail(codeValidationError, "1 validation error detected: %s", wrong[0])
	}
	return fail(codeValidationError, "%d validation errors detected: %s", len(wrong), strings.Join(wrong, "; "))
}

type createVirtualMFADevice struct{}

func (createVirtualMFADevice) Access(c *Call, in *sdk.CreateVirtualMFADeviceInput) []Access {
	return creation(c.toBe(identity.KindMFADevice, in.Path, in.VirtualMFADeviceName), in.Tags, "iam:TagMFADevice")
}

func (createVirtualMFADevice) Command(c *Call, in *sdk.CreateVirtualMFADeviceInput) (identity.Command, error) {
	tags, err := newTags(identity.KindMFADevice, in.Tags)
	if err != nil {
		return nil, err
	}
	cmd := &identity.CreateMFADevice{Account: c.Caller.Account, Name: strings.TrimPrefix(pathOr(in.Path), "/") + aws.ToString(in.VirtualMFADeviceName), Tags: tags}
	serial := string(c.partition().SerialNumber(cmd.Account, cmd.Name))
	if err := checkNewSerial(serial, pathOr(in.Path), aws.ToString(in.VirtualMFADeviceName)); err != nil {
		return nil, err
	}
	if err := mfa.MayDraw(aws.ToString(in.VirtualMFADeviceName), string(cmd.Account)); err != nil {
		return nil, err
	}
	seed, err := mfa.NewSeed(c.Random)
	if err != nil {
		return nil, err
	}
	cmd.Sealed, err = c.Seal.Seal(seal.MFASeed, seal.SeedContext(string(cmd.Account), serial), []byte(seed))
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// Render tells the seed, which nothing tells again.
func (createVirtualMFADevice) Render(c *Call, in *sdk.CreateVirtualMFADeviceInput, b *event.Batch) (*sdk.CreateVirtualMFADeviceOutput, error) {
	e, err := one[*identity.MFADeviceCreated](b)
	if err != nil {
		return nil, err
	}
	seed, err := c.openSeed(&identity.MFADevice{Account: e.Account, ID: e.ID, Sealed: e.Sealed})
	if err != nil {
		return nil, err
	}
	image, err := mfa.Picture(aws.ToString(in.VirtualMFADeviceName), string(e.Account), seed)
	if err != nil {
		return nil, err
	}
	return &sdk.CreateVirtualMFADeviceOutput{VirtualMFADevice: &types.VirtualMFADevice{SerialNumber: aws.String(string(e.ID)),
		Base32StringSeed: []byte(seed), QRCodePNG: image, Tags: shownTags(e.Tags)}}, nil
}

func (c *Call) openSeed(d *identity.MFADevice) (string, error) {
	seed, err := c.Seal.Open(seal.MFASeed, seal.SeedContext(string(d.Account), string(d.ID)), d.Sealed)
	if err != nil {
		return "", fmt.Errorf("seed of device %s: %w", d.ID, err)
	}
	return string(seed), nil
}

// deviceOf is the device of a serial number, if the view shows that it belongs to an owner:
// to nobody where the owner is empty, else to the user or root of that identifier. Codes of
// any other device are not looked at, right or wrong: the caller was not asked whether it
// may have anything to do with those.
func (c *Call) deviceOf(owner identity.ID, serial *string) (*identity.MFADevice, bool) {
	d, ok := c.witness.MFADevice(identity.ID(aws.ToString(serial)))
	return d, ok && d.Account == c.Caller.Account && d.Owner == owner
}

// ownerID is the identifier of whom deviceOwner names; false for a user who is not there.
func (c *Call) ownerID(owner string) (identity.ID, bool) {
	if owner == "" {
		return identity.ID(c.Caller.Account), true
	}
	u, ok := c.target(identity.KindUser, &owner)
	return u.ID, ok
}

// codes checks two consecutive codes of a device. No codes at all, which are the zero
// Codes, are refused by the decision: for what is wrong with the device and its owner or,
// if that has changed since the view, as stale. A request takes one try, however often it is
// authorized.
func (c *Call) codes(d *identity.MFADevice, first, second *string, window uint64) (identity.Codes, error) {
	return admission.Once(c.Bench, fmt.Sprintf("codes of %s made at %d", d.ID, d.Made), func() (identity.Codes, error) {
		return c.tryCodes(d, first, second, window)
	})
}

func (c *Call) tryCodes(d *identity.MFADevice, first, second *string, window uint64) (identity.Codes, error) {
	codes := identity.Codes{Made: d.Made}
	caller, now := string(c.Caller.ID), time.UnixMilli(int64(c.Now))
	if err := c.Codes.Take(caller, string(d.ID), now); err != nil {
		if errors.Is(err, admission.ErrTries) {
			err = fail(codeTemporarilyUnmodifiable, "Codes of the device %s were told wrong too often. Try again in several minutes.", d.ID)
		}
		return codes, err
	}
	seed, err := c.openSeed(d)
	if err != nil {
		return codes, err
	}
	codes.Step, err = mfa.Find(seed, aws.ToString(first), aws.ToString(second), now, window)
	if err != nil {
		return codes, err
	}
	if codes.Step == 0 {
		return codes, fail(codeInvalidAuthenticationCode, "Authentication code for device is not valid.")
	}
	c.Codes.Return(caller, string(d.ID), now)
	return codes, nil
}

type enableMFADevice struct {
	nothing[sdk.EnableMFADeviceInput, sdk.EnableMFADeviceOutput]
}

func (enableMFADevice) Access(c *Call, in *sdk.EnableMFADeviceInput) []Access {
	return c.onDeviceOwner(in.UserName)
}

func (enableMFADevice) Command(c *Call, in *sdk.EnableMFADeviceInput) (identity.Command, error) {
	owner, err := c.deviceOwner(in.UserName)
	if err != nil {
		return nil, err
	}
	var codes identity.Codes
	_, there := c.ownerID(owner)
	if d, free := c.deviceOf("", in.SerialNumber); free && there {
		if codes, err = c.codes(d, in.AuthenticationCode1, in.AuthenticationCode2, mfa.EnableWindow); err != nil {
			return nil, err
		}
	}
	return &identity.EnableMFADevice{Account: c.Caller.Account, User: owner, ID: identity.ID(aws.ToString(in.SerialNumber)), Codes: codes}, nil
}

type resyncMFADevice struct {
	nothing[sdk.ResyncMFADeviceInput, sdk.ResyncMFADeviceOutput]
}

func (resyncMFADevice) Access(c *Call, in *sdk.ResyncMFADeviceInput) []Access {
	return c.onDeviceOwner(in.UserName)
}

func (resyncMFADevice) Command(c *Call, in *sdk.ResyncMFADeviceInput) (identity.Command, error) {
	owner, err := c.deviceOwner(in.UserName)
	if err != nil {
		return nil, err
	}
	var codes identity.Codes
	id, there := c.ownerID(owner)
	if d, own := c.deviceOf(id, in.SerialNumber); own && there {
		if codes, err = c.codes(d, in.AuthenticationCode1, in.AuthenticationCode2, mfa.ResyncWindow); err != nil {
			return nil, err
		}
	}
	return &identity.ResyncMFADevice{Account: c.Caller.Account, User: owner, ID: identity.ID(aws.ToString(in.SerialNumber)), Codes: codes}, nil
}

type deactivateMFADevice struct {
	nothing[sdk.DeactivateMFADeviceInput, sdk.DeactivateMFADeviceOutput]
}

func (deactivateMFADevice) Access(c *Call, in *sdk.DeactivateMFADeviceInput) []Access {
	return c.onDeviceOwner(in.UserName)
}

func (deactivateMFADevice) Command(c *Call, in *sdk.DeactivateMFADeviceInput) (identity.Command, error) {
	owner, err := c.deviceOwner(in.UserName)
	if err != nil {
		return nil, err
	}
	return &identity.DeactivateMFADevice{Account: c.Caller.Account, User: owner, ID: identity.ID(aws.ToString(in.SerialNumber))}, nil
}

type deleteVirtualMFADevice struct {
	nothing[sdk.DeleteVirtualMFADeviceInput, sdk.DeleteVirtualMFADeviceOutput]
}

func (deleteVirtualMFADevice) Access(c *Call, in *sdk.DeleteVirtualMFADeviceInput) []Access {
	return []Access{c.onDevice(in.SerialNumber)}
}

// Command takes whatever serial number a device has: some were made before checkNewSerial.
func (deleteVirtualMFADevice) Command(c *Call, in *sdk.DeleteVirtualMFADeviceInput) (identity.Command, error) {
	if d, ok := c.witness.MFADevice(identity.ID(aws.ToString(in.SerialNumber))); !ok || d.Account != c.Caller.Account {
		if err := checkSerial(aws.ToString(in.SerialNumber)); err != nil {
			return nil, err
		}
	}
	return &identity.DeleteMFADevice{Account: c.Caller.Account, ID: identity.ID(aws.ToString(in.SerialNumber))}, nil
}

type getMFADevice struct{}

func (getMFADevice) Access(c *Call, in *sdk.GetMFADeviceInput) []Access {
	return c.onDeviceOwner(in.UserName)
}

func (getMFADevice) Answer(c *Call, in *sdk.GetMFADeviceInput) (*sdk.GetMFADeviceOutput, error) {
	owner, name, err := c.ownerOfDevices(in.UserName)
	if err != nil {
		return nil, err
	}
	for _, d := range c.enabledFor(owner) {
		if string(d.serial) == aws.ToString(in.SerialNumber) {
			return &sdk.GetMFADeviceOutput{SerialNumber: aws.String(string(d.serial)), EnableDate: shownTime(d.since), UserName: name, Certifications: d.certifications}, nil
		}
	}
	return nil, fail(codeNoSuchEntity, "MFA Device invalid for user.")
}

// enabled is an MFA device, virtual or a passkey, that is enabled for somebody.
type enabled struct {
	serial         identity.ID
	since          identity.Time
	certifications map[string]string // of a passkey: none, as no attestation is believed
}

// enabledFor are the MFA devices of an owner, in order of serial number.
func (c *Call) enabledFor(owner identity.ID) (list []enabled) {
	for _, d := range c.state().MFADevicesOf(owner) {
		list = append(list, enabled{serial: d.ID, since: d.Enabled})
	}
	for _, k := range c.state().PasskeysOf(owner) {
		list = append(list, enabled{serial: k.ID, since: k.Enabled, certifications: map[string]string{}})
	}
	slices.SortFunc(list, func(a, b enabled) int { return cmp.Compare(a.serial, b.serial) })
	return list
}

// ownerOfDevices is whom a read of devices is about, as devices and as answers name it.
func (c *Call) ownerOfDevices(name *string) (identity.ID, *string, error) {
	user, err := c.deviceOwner(name)
	switch {
	case err != nil:
		return "", nil, err
	case user == "":
		return identity.ID(c.Caller.Account), aws.String(string(c.Caller.Account)), nil
	}
	u, err := c.mustUser(&user)
	if err != nil {
		return "", nil, err
	}
	return u.ID, aws.String(u.Name), nil
}

type listMFADevices struct{}

func (listMFADevices) Access(c *Call, in *sdk.ListMFADevicesInput) []Access {
	return c.onDeviceOwner(in.UserName)
}

func (listMFADevices) Answer(c *Call, in *sdk.ListMFADevicesInput) (*sdk.ListMFADevicesOutput, error) {
	owner, name, err := c.ownerOfDevices(in.UserName)
	if err != nil {
		return nil, err
	}
	serial := func(d enabled) string { return string(d.serial) }
	p, err := paginate("ListMFADevices", in.Marker, in.MaxItems, sorted(c.enabledFor(owner), serial), serial,
		func(d enabled) (types.MFADevice, bool) {
			return types.MFADevice{SerialNumber: aws.String(string(d.serial)), EnableDate: shownTime(d.since), UserName: name}, true
		})
	return &sdk.ListMFADevicesOutput{MFADevices: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type listVirtualMFADevices struct{}

func (listVirtualMFADevices) Access(c *Call, _ *sdk.ListVirtualMFADevicesInput) []Access {
	return c.below(identity.KindMFADevice, nil)
}

func (listVirtualMFADevices) Answer(c *Call, in *sdk.ListVirtualMFADevicesInput) (*sdk.ListVirtualMFADevicesOutput, error) {
	walk := func(after string, yield func(*identity.MFADevice) bool) {
		c.state().MFADevices(c.Caller.Account, after, yield)
	}
	name := func(d *identity.MFADevice) string { return d.Name }
	p, err := paginate("ListVirtualMFADevices", in.Marker, in.MaxItems, walk, name, func(d *identity.MFADevice) (types.VirtualMFADevice, bool) {
		switch in.AssignmentStatus {
		case types.AssignmentStatusTypeAssigned:
			return c.shownDevice(d), d.Owner != ""
		case types.AssignmentStatusTypeUnassigned:
			return c.shownDevice(d), d.Owner == ""
		}
		return c.shownDevice(d), true
	})
	return &sdk.ListVirtualMFADevicesOutput{VirtualMFADevices: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

// shownDevice is a device as the list shows it: with whom it is enabled for, but neither
// seed nor tags.
func (c *Call) shownDevice(d *identity.MFADevice) types.VirtualMFADevice {
	shown := types.VirtualMFADevice{SerialNumber: aws.String(string(d.ID))}
	if d.Owner == "" {
		return shown
	}
	shown.EnableDate = shownTime(d.Enabled)
	if u, ok := c.state().UserByID(d.Owner); ok {
		user := shownUser(u)
		shown.User = &user
	} else if a, ok := c.state().Account(d.Account); ok {
		shown.User = &types.User{Arn: aws.String(c.partition().RootARN(a.ID)), CreateDate: shownTime(a.Created), UserId: aws.String(string(a.ID))}
	}
	return shown
}

// mustDevice finds a device of the caller's account.
func (c *Call) mustDevice(serial *string) (*identity.MFADevice, error) {
	d, ok := c.state().MFADevice(identity.ID(aws.ToString(serial)))
	if !ok || d.Account != c.Caller.Account {
		return nil, noSuchDevice(serial)
	}
	return d, nil
}

func noSuchDevice(serial *string) error {
	return fail(codeNoSuchEntity, "MFA Device with serial number %s does not exist.", aws.ToString(serial))
}

type listMFADeviceTags struct{}

func (listMFADeviceTags) Access(c *Call, in *sdk.ListMFADeviceTagsInput) []Access {
	return []Access{c.onDevice(in.SerialNumber)}
}

func (listMFADeviceTags) Answer(c *Call, in *sdk.ListMFADeviceTagsInput) (*sdk.ListMFADeviceTagsOutput, error) {
	d, err := c.mustDevice(in.SerialNumber)
	if err != nil {
		return nil, err
	}
	p, err := tagPage("ListMFADeviceTags", d.Tags, in.Marker, in.MaxItems)
	return &sdk.ListMFADeviceTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

type tagMFADevice struct {
	nothing[sdk.TagMFADeviceInput, sdk.TagMFADeviceOutput]
}

func (tagMFADevice) Access(c *Call, in *sdk.TagMFADeviceInput) []Access {
	return []Access{c.onDevice(in.SerialNumber).With(tagsKeys(in.Tags)...)}
}

func (tagMFADevice) Command(c *Call, in *sdk.TagMFADeviceInput) (identity.Command, error) {
	name, ok := c.deviceName(in.SerialNumber)
	if _, there := c.target(identity.KindMFADevice, &name); !ok || !there {
		return nil, noSuchDevice(in.SerialNumber)
	}
	return c.tag(identity.KindMFADevice, &name, in.Tags)
}

type untagMFADevice struct {
	nothing[sdk.UntagMFADeviceInput, sdk.UntagMFADeviceOutput]
}

func (untagMFADevice) Access(c *Call, in *sdk.UntagMFADeviceInput) []Access {
	return []Access{c.onDevice(in.SerialNumber).With(policy.Multi(keyTagKeys, in.TagKeys))}
}

func (untagMFADevice) Command(c *Call, in *sdk.UntagMFADeviceInput) (identity.Command, error) {
	name, ok := c.deviceName(in.SerialNumber)
	if _, there := c.target(identity.KindMFADevice, &name); !ok || !there {
		return nil, noSuchDevice(in.SerialNumber)
	}
	return c.untag(identity.KindMFADevice, &name, in.TagKeys), nil
}

// UseCode is the command that uses up the code of an MFA device of the caller's, if the code
// is good: else an *Error in STS's words, whatever is wrong with the device.
func (c *Call) UseCode(serial, code *string) (identity.Command, error) {
	d, ok := c.deviceOf(c.Caller.ID, serial)
	if !ok {
		return nil, fail(codeAccessDenied, "%s", identity.MFAFailed)
	}
	codes, err := admission.Once(c.Bench, fmt.Sprintf("code of %s made at %d", d.ID, d.Made), func() (identity.Codes, error) {
		return c.tryCode(d, code)
	})
	if err != nil {
		return nil, err
	}
	return &identity.UseMFACode{Account: c.Caller.Account, Owner: c.Caller.ID, ID: d.ID, Codes: codes}, nil
}

func (c *Call) tryCode(d *identity.MFADevice, code *string) (identity.Codes, error) {
	codes := identity.Codes{Made: d.Made}
	caller, now := string(c.Caller.ID), time.UnixMilli(int64(c.Now))
	if err := c.Codes.Take(caller, string(d.ID), now); err != nil {
		if errors.Is(err, admission.ErrTries) {
			err = fail(codeAccessDenied, "Codes of the device %s were told wrong too often. Try again in several minutes.", d.ID)
		}
		return codes, err
	}
	seed, err := c.openSeed(d)
	if err != nil {
		return codes, err
	}
	if codes.Step, err = mfa.FindOne(seed, aws.ToString(code), now, mfa.DriftWindow); err != nil {
		return codes, err
	}
	if codes.Step == 0 {
		return codes, fail(codeAccessDenied, "%s", identity.MFAFailed)
	}
	c.Codes.Return(caller, string(d.ID), now)
	return codes, nil
}
