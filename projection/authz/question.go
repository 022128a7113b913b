package authz

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Limits of the parts of a question, in bytes. Those of an action and of a key are
// of the IAM API Reference (SimulateCustomPolicy).
const (
	MaxAction     = 128
	MaxARN        = 2048
	MaxContextKey = 256

	maxName    = 64 // of a user, a role, a session (IAM User Guide: "IAM and AWS STS quotas")
	minSession = 2
	maxPath    = 512
)

// Some questions have an answer and no meaning: whether a principal may do `s3:*`
// is decided like any other action, and the answer is no though it may do each of
// them. The Check functions find such questions. Their errors say what to ask
// instead.

// CheckAction refuses what is not the name of one action, such as "s3:GetObject".
func CheckAction(action string) error {
	if plainAction(action) {
		return nil
	}
	service, name, colon := strings.Cut(action, ":")
	switch {
	case action == "":
		return fmt.Errorf("no action is named; name one, such as s3:GetObject")
	case len(action) > MaxAction:
		return fmt.Errorf("the action is longer than %d characters", MaxAction)
	case strings.ContainsAny(action, "*?"):
		return fmt.Errorf("the action %q has a wildcard: a pattern is neither allowed nor denied, its actions are; ask about one action, such as s3:GetObject", action)
	case !colon:
		return fmt.Errorf("the action %q names no service; name both, such as s3:GetObject", action)
	case service == "" || name == "" || strings.Contains(name, ":") || !all(service, serviceLetter) || !all(name, visible):
		return fmt.Errorf("the action %q is not of the form service:Action, such as s3:GetObject", action)
	}
	return nil
}

// CheckResource refuses what is neither an ARN nor "*". In the last field of an
// ARN any letter may stand; a * there is no wildcard.
func CheckResource(resource string) error {
	if resource == "*" || plainResource(resource) {
		return nil
	}
	const form = `give an ARN, such as arn:aws:s3:::bucket/key, or "*" for an action without resources`
	fields, whole := fieldsOf(resource)
	head := resource[:len(resource)-len(fields[5])]
	switch {
	case resource == "":
		return fmt.Errorf("the resource is empty; %s", form)
	case len(resource) > MaxARN:
		return fmt.Errorf("the resource is longer than %d characters", MaxARN)
	case !whole || fields[0] != "arn" || fields[1] == "" || fields[2] == "" || fields[5] == "":
		return fmt.Errorf("the resource %q is no ARN; %s", resource, form)
	case strings.ContainsAny(head, "*?"):
		return fmt.Errorf("the resource %q has a wildcard before its last field; ask about one resource", resource)
	case !all(head, visible) || strings.ContainsFunc(fields[5], unicode.IsControl) || strings.TrimSpace(fields[5]) != fields[5]:
		return fmt.Errorf("the resource %q has characters that no ARN has; %s", resource, form)
	}
	return nil
}

// plainAction finds most actions that are in order in one pass: what CheckAction takes a second look
// at costs several times as much.
func plainAction(action string) bool {
	colon := 0
	for i := range len(action) {
		switch c := action[i]; {
		case c == ':':
			if colon > 0 {
				return false
			}
			colon = i
		case colon == 0 && !serviceLetter(c), c == '*', c == '?', !visible(c):
			return false
		}
	}
	return 0 < colon && colon < len(action)-1 && len(action) <= MaxAction
}

// plainResource is plainAction for CheckResource.
func plainResource(resource string) bool {
	const head = "arn:"
	if !strings.HasPrefix(resource, head) || len(resource) > MaxARN {
		return false
	}
	i, colons := len(head), 1
	for ; i < len(resource) && colons < 5; i++ {
		switch c := resource[i]; {
		case c == ':':
			if colons++; colons <= 3 && resource[i-1] == ':' {
				return false // no partition, or no service
			}
		case c == '*', c == '?', !visible(c):
			return false
		}
	}
	return i < len(resource) && all(resource[i:], visible)
}

// CheckContextKey refuses what no condition can ask for.
func CheckContextKey(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a condition key has no name; name it, such as aws:SourceIp")
	case len(name) > MaxContextKey:
		return fmt.Errorf("a condition key is longer than %d characters", MaxContextKey)
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the condition key %q has spaces around it or characters that are not visible", name)
	}
	return nil
}

// CheckPrincipal refuses what is not the ARN of somebody who can ask for anything
// and whose policies Writ may hold: a user, a role, a session of a role, or the
// root of an account. It does not look whether there is such a principal.
func CheckPrincipal(arn string) error {
	const form = "give that of a user (arn:aws:iam::123456789012:user/alice), a role, a session of a role (arn:aws:sts::123456789012:assumed-role/ROLE/SESSION) or a root (arn:aws:iam::123456789012:root)"
	if arn == "" {
		return fmt.Errorf("no principal is named; %s", form)
	}
	if len(arn) > MaxARN {
		return fmt.Errorf("the principal is longer than %d characters", MaxARN)
	}
	p, err := ParsePrincipal(arn)
	fields, whole := fieldsOf(arn)
	switch {
	case whole && fields[2] == "iam" && strings.HasPrefix(fields[5], "group/"):
		return fmt.Errorf("the principal %q is a group, which can ask for nothing; ask about one of its users", arn)
	case err != nil:
		return fmt.Errorf("the principal %q is not the ARN of one; %s", arn, form)
	case p.Type == FederatedUser:
		return fmt.Errorf("the principal %q is a federated user, of which Writ knows none; %s", arn, form)
	case fields[0] != "arn" || !syntax.IsPartition(fields[1]) || fields[3] != "" || !accountNumber(p.Account):
		return fmt.Errorf("the principal %q has no account of 12 digits in a partition of AWS; %s", arn, form)
	case p.Type != Root && !wellNamed(&p, fields[5]):
		return fmt.Errorf("the principal %q has a name or path that no principal can have; %s", arn, form)
	}
	return nil
}

// fieldsOf cuts the fields of an ARN, without an allocation, and tells whether there
// are all six.
func fieldsOf(arn string) (fields [6]string, whole bool) {
	rest := arn
	for i := range fields[:5] {
		if fields[i], rest, whole = strings.Cut(rest, ":"); !whole {
			return fields, false
		}
	}
	fields[5] = rest
	return fields, true
}

// wellNamed tells whether the names and the path in the last field of an ARN are
// such as IAM takes.
func wellNamed(p *Principal, resource string) bool {
	kind, rest, _ := strings.Cut(resource, "/")
	if kind == "assumed-role" {
		role, session, _ := strings.Cut(rest, "/")
		return isName(role) && isName(session) && len(session) >= minSession
	}
	path := rest[:len(rest)-len(p.Name)]
	return isName(p.Name) && len(path) <= maxPath && all(path, visible)
}

// isName tells names of users, roles and sessions (IAM User Guide: "IAM
// identifiers").
func isName(s string) bool {
	return s != "" && len(s) <= maxName && all(s, nameLetter)
}

// all tells whether a text is made of some ASCII characters alone.
func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func nameLetter(c byte) bool { return letterOrDigit(c) || strings.IndexByte("+=,.@_-", c) >= 0 }

// serviceLetter tells the letters of a service's prefix, as policies take them.
func serviceLetter(c byte) bool { return letterOrDigit(c) || c == '-' || c == '.' }

// visible tells the printable ASCII characters but the space.
func visible(c byte) bool { return '!' <= c && c <= '~' }
