package password

import (
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

func TestViolations(t *testing.T) {
	all := &identity.PasswordPolicy{PasswordRequirements: identity.PasswordRequirements{MinLength: 10, Symbols: true, Numbers: true, Uppercase: true, Lowercase: true}}
	length := &identity.PasswordPolicy{PasswordRequirements: identity.PasswordRequirements{MinLength: 6}}
	for _, test := range []struct {
		under          *identity.PasswordPolicy
		password, want string
	}{
		{nil, "Passw0rd", ""},
		{nil, "Passw-rd", ""},
		{nil, "passw0r-", ""},
		{nil, "Passw0r", "Password should have a minimum length of 8"},
		{nil, "password1", "Password should meet 1 more of the following requirements: Password should have at least one uppercase letter, Password should have at least one symbol"},
		{nil, "passwords", "Password should meet 2 more of the following requirements: Password should have at least one uppercase letter, Password should have at least one number, Password should have at least one symbol"},
		{nil, "ÄÖÜäöü¡¿", "Password should meet 3 more of the following requirements: Password should have at least one uppercase letter, " +
			"Password should have at least one lowercase letter, Password should have at least one number, Password should have at least one symbol"},
		{nil, "Example-Corp", Nonconforming},
		{nil, "example-Corp", Nonconforming},
		{nil, "Ada@Example.com", Nonconforming},
		{all, "Passw0rd-!", ""},
		{all, "Passw0rd-", "Password should have a minimum length of 10"},
		{all, "passw0rd", "Password should have a minimum length of 10, Password should have at least one uppercase letter, Password should have at least one symbol"},
		{all, "PASSWORD-!", "Password should have at least one lowercase letter, Password should have at least one number"},
		{length, "aaaaaa", ""},
		{length, "äaaaaa", ""},
		{length, "äaaaa", "Password should have a minimum length of 6"},
	} {
		if got := Violation(test.under, test.password, "example-corp", "ada@example.com"); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.password, got, test.want)
		}
	}
}
