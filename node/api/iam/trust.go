package iam

import (
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

// A trust policy is stored as it was given, but for its principals: the number of an
// account gives way to the ARN of its root, and the ARNs of users and roles of the
// cluster give way to their unique identifiers. So a user
// created again under an old name does not inherit the trust in the old one, and
// a user that was renamed keeps it ("JSON policy elements: Principal" in the
// IAM User Guide). Shown, identifiers turn into ARNs again, those of principals
// that are gone stay.

// newTrust checks a trust policy and returns it as it is stored.
func (c *Call) newTrust(text *string) (string, error) {
	doc, err := valid.Parse(aws.ToString(text), syntax.KindTrust)
	if err != nil {
		return "", BadDocument(err)
	}
	for _, p := range doc.Principals() { // providers need not exist
		if p.Type == syntax.PrincipalFederated && c.isElsewhere(p.Value) {
			return "", BadDocument(valid.InvalidPrincipal(p))
		}
	}
	var unknown *syntax.MalformedError
	stored := replacePrincipals(aws.ToString(text), doc, func(p syntax.Principal) string {
		id, ok := c.principalID(p.Value)
		if !ok && unknown == nil {
			unknown = valid.InvalidPrincipal(p)
		}
		return id
	})
	if unknown != nil {
		return "", BadDocument(unknown)
	}
	return stored, nil
}

// isElsewhere tells an ARN of another partition than the cluster's.
func (c *Call) isElsewhere(text string) bool {
	partition, named := strings.CutPrefix(text, "arn:")
	partition, _, _ = strings.Cut(partition, ":")
	return named && partition != c.partition().String()
}

// accountLength is how many digits the number of an account has.
const accountLength = 12

// principalID is what an AWS principal is stored as, if it exists. Accounts,
// sessions and "*" have no identifier of their own. Who belongs to an account that
// this cluster does not hold is taken as it stands. Nobody of another partition is: there is
// no trust across partitions.
func (c *Call) principalID(principal string) (string, bool) {
	if len(principal) == accountLength && strings.Trim(principal, "0123456789") == "" {
		return c.partition().RootARN(identity.AccountID(principal)), true
	}
	if strings.HasPrefix(principal, identity.UserIDPrefix) || strings.HasPrefix(principal, identity.RoleIDPrefix) {
		t, ok := c.find(identity.Lookup{By: identity.ByID, Text: principal})
		return principal, ok && (t.Kind == identity.KindUser || t.Kind == identity.KindRole)
	}
	if c.isElsewhere(principal) {
		return principal, false
	}
	rest, ok := strings.CutPrefix(principal, c.partition().IAM())
	if !ok {
		return principal, true
	}
	account, path, _ := strings.Cut(rest, ":")
	if !c.holds(identity.AccountID(account)) {
		return principal, true
	}
	noun, _, _ := strings.Cut(path, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, kind := range [...]identity.Kind{identity.KindUser, identity.KindRole} {
		if noun != kind.Noun() {
			continue
		}
		if t, ok := c.targetOf(kind, identity.AccountID(account), name); ok && t.ARN() == principal {
			return string(t.ID), true
		}
		return principal, false
	}
	return principal, true
}

// principalARN is the ARN of the user or role with that unique identifier.
func (c *Call) principalARN(id string) (string, bool) {
	if u, ok := c.state().UserByID(identity.ID(id)); ok && !c.state().Closed(u.Account) {
		return u.ARN(), true
	}
	if r, ok := c.state().RoleByID(identity.ID(id)); ok && !c.state().Closed(r.Account) {
		return r.ARN(), true
	}
	return id, false
}

// shownTrust is a stored trust policy for an answer.
func (c *Call) shownTrust(stored string) *string {
	if !strings.Contains(stored, identity.UserIDPrefix) && !strings.Contains(stored, identity.RoleIDPrefix) {
		return shownDocument(stored)
	}
	doc, err := syntax.Parse(stored)
	if err != nil { // written under another grammar
		return shownDocument(stored)
	}
	return shownDocument(replacePrincipals(stored, doc, func(p syntax.Principal) string {
		arn, _ := c.principalARN(p.Value)
		return arn
	}))
}

// replacePrincipals is the text of a document with each of its AWS principals
// replaced, and everything else as it was.
func replacePrincipals(text string, doc *syntax.Document, replace func(syntax.Principal) string) string {
	var out strings.Builder
	rest, at := text, syntax.Position{Line: 1, Column: 1}
	for _, p := range doc.Principals() {
		if p.Type != syntax.PrincipalAWS {
			continue
		}
		to := replace(p)
		if to == p.Value {
			continue
		}
		before := untilPosition(rest, at, p.Position)
		out.WriteString(rest[:before])
		after := before + stringLength(rest[before:])
		out.WriteString(quote(to))
		at = p.Position
		at.Column += utf8.RuneCountInString(rest[before:after])
		rest = rest[after:]
	}
	out.WriteString(rest)
	return out.String()
}

// untilPosition is how many bytes of text, which begins at the position from,
// come before the position to.
func untilPosition(text string, from, to syntax.Position) int {
	for i, r := range text {
		if from == to {
			return i
		}
		from.Column++
		if r == '\n' {
			from = syntax.Position{Line: from.Line + 1, Column: 1}
		}
	}
	return len(text)
}

// stringLength is the length in bytes of the JSON string that text begins with.
func stringLength(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// quote is a JSON string of printable ASCII.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
