package iam_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
	"github.com/writ-iam/writ/node/mfa"
	"github.com/writ-iam/writ/node/seal"
)

// phoneID is the serial number of a device with a seed that the tests know.
var phoneID = identity.PartitionAWS.SerialNumber(account, "phone")

const phoneSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// phone makes the device.
func (w *world) phone() identity.Command {
	sealed, err := w.key.Seal(seal.MFASeed, seal.SeedContext(string(account), string(phoneID)), []byte(phoneSeed))
	if err != nil {
		w.t.Fatal(err)
	}
	return &identity.CreateMFADevice{Account: account, Name: "phone", Sealed: sealed}
}

// code is what the device shows so many steps after the beginning of a world.
func code(steps int) string {
	c, err := mfa.Code(phoneSeed, time.UnixMilli(1_700_000_000_000).Add(time.Duration(steps)*mfa.Step))
	if err != nil {
		panic(err)
	}
	return c
}

// The seed that is told is the one whose codes enable the device, and each code counts once.
func TestMFADevices(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"})
	made := must[*sdk.CreateVirtualMFADeviceOutput](w, &sdk.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("phone"), Path: aws.String("/team/")}).VirtualMFADevice
	if *made.SerialNumber != "arn:aws:iam::123456789012:mfa/team/phone" || len(made.QRCodePNG) == 0 {
		t.Fatalf("the device is %+v", made)
	}
	shows := func(steps int) *string {
		c, err := mfa.Code(string(made.Base32StringSeed), time.UnixMilli(int64(w.now)).Add(time.Duration(steps)*mfa.Step))
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	enable := func(first, second *string) string {
		return answer(w.do(&sdk.EnableMFADeviceInput{UserName: aws.String("ada"), SerialNumber: made.SerialNumber, AuthenticationCode1: first, AuthenticationCode2: second}))
	}
	resync := func(first, second *string) string {
		return answer(w.do(&sdk.ResyncMFADeviceInput{UserName: aws.String("ada"), SerialNumber: made.SerialNumber, AuthenticationCode1: first, AuthenticationCode2: second}))
	}
	const invalid = "InvalidAuthenticationCode: Authentication code for device is not valid.\n"
	for _, step := range []struct{ name, got, want string }{
		{"the wrong way", enable(shows(0), shows(-1)), invalid},
		{"enabled", enable(shows(-1), shows(0)), "ok\n"},
		{"enabled twice", enable(shows(1), shows(2)), "EntityAlreadyExists: MFA Device is already in use.\n"},
		{"codes that were used", resync(shows(-1), shows(0)), invalid},
		{"a code that was used", resync(shows(0), shows(1)), invalid},
		{"a clock that is off", resync(shows(mfa.ResyncWindow-1), shows(mfa.ResyncWindow)), "ok\n"},
		{"all earlier ones", resync(shows(10), shows(11)), invalid},
	} {
		if step.got != step.want {
			t.Errorf("%s: %s", step.name, step.got)
		}
	}
	summary := must[*sdk.GetAccountSummaryOutput](w, &sdk.GetAccountSummaryInput{}).SummaryMap
	if summary["MFADevices"] != 1 || summary["MFADevicesInUse"] != 1 || summary["AccountMFAEnabled"] != 0 {
		t.Errorf("the summary is %v", summary)
	}
	listed := must[*sdk.ListVirtualMFADevicesOutput](w, &sdk.ListVirtualMFADevicesInput{AssignmentStatus: types.AssignmentStatusTypeAssigned}).VirtualMFADevices
	if len(listed) != 1 || *listed[0].User.UserName != "ada" || listed[0].Base32StringSeed != nil {
		t.Errorf("the list is %+v", listed)
	}
}

// Whoever guesses at a device's codes has a few guesses, and then none for a while.
func TestGuessesAtCodesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"}, w.phone())
	guess := func(first, second string) string {
		return answer(w.do(&sdk.EnableMFADeviceInput{UserName: aws.String("ada"), SerialNumber: aws.String(string(phoneID)), AuthenticationCode1: &first, AuthenticationCode2: &second}))
	}
	for range mfa.MaxWrong {
		if got := guess("000000", "000000"); got != "InvalidAuthenticationCode: Authentication code for device is not valid.\n" {
			t.Fatal(got)
		}
	}
	const later = "EntityTemporarilyUnmodifiable: Codes of the device arn:aws:iam::123456789012:mfa/phone were told wrong too often. Try again in several minutes.\n"
	if got := guess(code(0), code(1)); got != later {
		t.Error(got)
	}
	w.now += identity.Time(mfa.WrongTime.Milliseconds())
	if got := guess(code(2), code(3)); got != "ok\n" {
		t.Error(got)
	}
}

// Whoever may enable and synchronize devices for itself finds out nothing about the codes of
// others' devices, and does not keep their owners from theirs.
func TestCodesOfOthersDevicesAreNotLookedAt(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"},
		&identity.CreateUser{Account: account, ID: "AIDAMALLORY", Name: "mallory", Path: "/"}, w.phone())
	enable := func(user, first, second string) string {
		return answer(w.do(&sdk.EnableMFADeviceInput{UserName: &user, SerialNumber: aws.String(string(phoneID)), AuthenticationCode1: &first, AuthenticationCode2: &second}))
	}
	resync := func(user, first, second string) string {
		return answer(w.do(&sdk.ResyncMFADeviceInput{UserName: &user, SerialNumber: aws.String(string(phoneID)), AuthenticationCode1: &first, AuthenticationCode2: &second}))
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
	const (
		wrong   = "000000"
		notOwn  = "NoSuchEntity: MFA Device invalid for user.\n"
		inUse   = "EntityAlreadyExists: MFA Device is already in use.\n"
		invalid = "InvalidAuthenticationCode: Authentication code for device is not valid.\n"
	)
	w.asUser("mallory")
	check("nobody's, synchronized", resync("mallory", code(0), code(1)), notOwn)
	for range mfa.MaxWrong {
		check("nobody's, enabled", enable("mallory", wrong, wrong), invalid)
	}
	check("for a user who is not there", enable("nobody", wrong, wrong), "NoSuchEntity: The user with name nobody cannot be found.\n")
	w.asUser("ada")
	check("after others were wrong", enable("ada", code(0), code(1)), "ok\n")

	w.asUser("mallory")
	for range mfa.MaxWrong + 1 {
		check("another's by wrong codes", resync("mallory", wrong, wrong), notOwn)
		check("in use, by wrong codes", enable("mallory", wrong, wrong), inUse)
	}
	check("another's by right codes", resync("mallory", code(2), code(3)), notOwn)
	check("in use, by right codes", enable("mallory", code(2), code(3)), inUse)
	w.asRoot()
	check("another's, by the root", resync("123456789012", code(2), code(3)), notOwn)
	for range mfa.MaxWrong {
		check("by the root, wrong", resync("ada", wrong, wrong), invalid)
	}
	w.asUser("ada")
	check("by its user", resync("ada", code(2), code(3)), "ok\n")
}

// A device that was made when nothing bounded its serial number can be deleted, and is listed
// until then.
func TestDevicesOfLongNamesCanBeDeleted(t *testing.T) {
	w := newWorld(t)
	names := []string{"a!b/phone", strings.Repeat("n", 300), "p/" + strings.Repeat("n", 250_000)}
	for _, name := range names {
		w.expect(&identity.CreateMFADevice{Account: account, Name: name})
	}
	for range names {
		listed := must[*sdk.ListVirtualMFADevicesOutput](w, &sdk.ListVirtualMFADevicesInput{MaxItems: aws.Int32(1)}).VirtualMFADevices
		must[*sdk.DeleteVirtualMFADeviceOutput](w, &sdk.DeleteVirtualMFADeviceInput{SerialNumber: listed[0].SerialNumber})
	}
}

// The longest name that a device may have, as few as possible of which a page shows.
func TestListsOfDevicesOfTheLongestNames(t *testing.T) {
	w := newWorld(t)
	w.expect(&identity.CreateUser{Account: account, ID: "AIDAADA", Name: "ada", Path: "/"})
	var given []string
	for i, letter := range []string{"a", ",", "z"} {
		name := strings.Repeat(letter, 226)
		made := must[*sdk.CreateVirtualMFADeviceOutput](w, &sdk.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name}).VirtualMFADevice
		shows := func(steps int) *string {
			c, err := mfa.Code(string(made.Base32StringSeed), time.UnixMilli(int64(w.now)).Add(time.Duration(steps)*mfa.Step))
			if err != nil {
				t.Fatal(err)
			}
			return &c
		}
		must[*sdk.EnableMFADeviceOutput](w, &sdk.EnableMFADeviceInput{UserName: aws.String("ada"), SerialNumber: made.SerialNumber, AuthenticationCode1: shows(0), AuthenticationCode2: shows(1)})
		must[*sdk.TagMFADeviceOutput](w, &sdk.TagMFADeviceInput{SerialNumber: made.SerialNumber, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		if len(made.QRCodePNG) == 0 {
			t.Errorf("device %d has no picture", i)
		}
	}
	take := func(m *string) *string {
		given = append(given, aws.ToString(m))
		return m
	}
	ones := pages(t, w, func(m *string) any { return &sdk.ListVirtualMFADevicesInput{MaxItems: aws.Int32(1), Marker: m} },
		func(out *sdk.ListVirtualMFADevicesOutput) (int, bool, *string) {
			return len(out.VirtualMFADevices), out.IsTruncated, take(out.Marker)
		})
	own := pages(t, w, func(m *string) any {
		return &sdk.ListMFADevicesInput{UserName: aws.String("ada"), MaxItems: aws.Int32(1), Marker: m}
	}, func(out *sdk.ListMFADevicesOutput) (int, bool, *string) {
		return len(out.MFADevices), out.IsTruncated, take(out.Marker)
	})
	if len(ones) != 3 || len(own) != 3 {
		t.Errorf("%v and %v are listed", ones, own)
	}
	longest := int(*model.IAM().Operation("ListMFADevices").Input.Field("Marker").Shape.Max)
	for _, m := range given {
		if len(m) > longest {
			t.Errorf("a marker has %d bytes", len(m))
		}
	}
	if got := answer(w.do(&sdk.ListVirtualMFADevicesInput{Marker: aws.String("!ListVirtualMFADevices!phone")})); got != "ValidationError: Invalid Marker.\n" {
		t.Errorf("a marker that nobody gives: %s", got)
	}
}

// A retry of what took effect hashes nothing and checks no codes: they may be too old by then.
func TestRepeatedCommands(t *testing.T) {
	w := inhabited(t)
	w.asUser("carol")
	for _, in := range []any{
		&sdk.ChangePasswordInput{OldPassword: aws.String("wrong"), NewPassword: aws.String("x")},
		&sdk.EnableMFADeviceInput{UserName: aws.String("carol"), SerialNumber: aws.String(string(phoneID)), AuthenticationCode1: aws.String("000000"), AuthenticationCode2: aws.String("000000")},
	} {
		call := w.call()
		call.Repeated = true
		action, _ := w.action(in)
		command, err := action.Command(call, in)
		if err != nil {
			t.Errorf("%T: %v", in, err)
			continue
		}
		if _, err := w.decide(command); err == nil {
			t.Errorf("%T is decided although nothing was checked", in)
		}
	}
}

// action finds the action of an input.
func (w *world) action(in any) (*iam.Action, bool) {
	return iam.Find(strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input"))
}
