package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/log/identity"
)

// What passwords must be like where an account has no policy ("Setting an account
// password policy" in the IAM User Guide): so long, and with so many of the kinds of
// characters.
const (
	defaultLength = 8
	defaultKinds  = 3
)

// DefaultMinLength is how long passwords must be where an account's policy does not say.
const DefaultMinLength = 6

// Nonconforming is AWS's answer to a password that does not meet a policy in a way that it
// has no words of its own for, such as one that comes again.
const Nonconforming = "Password does not conform to the account password policy."

// kind is a kind of characters.
type kind struct {
	characters string
	wanted     string // AWS's words
}

// kinds are the kinds of characters in the order in which AWS names them.
var kinds = [...]kind{
	{"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "Password should have at least one uppercase letter"},
	{"abcdefghijklmnopqrstuvwxyz", "Password should have at least one lowercase letter"},
	{"0123456789", "Password should have at least one number"},
	{"!@#$%^&*()_+-=[]{}|'", "Password should have at least one symbol"},
}

// Violation says in AWS's words why an account's policy, which may be nil, does not take a
// password; empty if it does. Without a policy none of names may be the password: those
// of the account and of the user.
func Violation(p *identity.PasswordPolicy, password string, names ...string) string {
	if p == nil {
		return defaultViolation(password, names)
	}
	var unmet []string
	if utf8.RuneCountInString(password) < int(p.MinLength) {
		unmet = append(unmet, tooShort(int(p.MinLength)))
	}
	for i, required := range [...]bool{p.Uppercase, p.Lowercase, p.Numbers, p.Symbols} {
		if required && !strings.ContainsAny(password, kinds[i].characters) {
			unmet = append(unmet, kinds[i].wanted)
		}
	}
	return strings.Join(unmet, ", ")
}

func defaultViolation(password string, names []string) string {
	var unmet []string
	for _, k := range kinds {
		if !strings.ContainsAny(password, k.characters) {
			unmet = append(unmet, k.wanted)
		}
	}
	switch more := len(unmet) - (len(kinds) - defaultKinds); {
	case utf8.RuneCountInString(password) < defaultLength:
		return tooShort(defaultLength)
	case more > 0:
		return fmt.Sprintf("Password should meet %d more of the following requirements: %s", more, strings.Join(unmet, ", "))
	case slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, password) }):
		return Nonconforming
	}
	return ""
}

func tooShort(length int) string {
	return fmt.Sprintf("Password should have a minimum length of %d", length)
}
