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
