package iam

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

// newDocument checks a policy document as AWS does for its kind.
func newDocument(kind syntax.Kind, text *string) (string, error) {
	if _, err := valid.Parse(aws.ToString(text), kind); err != nil {
		return "", BadDocument(err)
	}
	return aws.ToString(text), nil
}

// inlineKinds are the kinds of inline policies by their owners.
var inlineKinds = map[identity.Kind]syntax.Kind{
	identity.KindUser: syntax.KindUser, identity.KindGroup: syntax.KindGroup, identity.KindRole: syntax.KindRole,
}

// newInlineDocument is newDocument for an inline policy. That all inline
// policies of the owner together are not too long only the state can show.
func newInlineDocument(owner identity.Owner, text *string) (string, error) {
	document, err := newDocument(inlineKinds[owner.Kind], text)
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == codeLimitExceeded {
		e.Message += fmt.Sprintf(" for %s %s", owner.Kind.Noun(), owner.Name)
	}
	return document, err
}

// BadDocument is AWS's answer to what package policy refused.
func BadDocument(err error) error {
	if malformed := (*syntax.MalformedError)(nil); errors.As(err, &malformed) {
		return fail(codeMalformedPolicyDocument, "%s", malformed.Message)
	}
	if size := (*syntax.SizeError)(nil); errors.As(err, &size) {
		return fail(codeLimitExceeded, "%s", size.Error())
	}
	return err
}

// shownDocument is a policy document for an answer: percent-encoded after RFC
// 3986 ("GetPolicyVersion" in the IAM API Reference).
func shownDocument(text string) *string {
	// QueryEscape differs from RFC 3986 in the space alone.
	return aws.String(strings.ReplaceAll(url.QueryEscape(text), "+", "%20"))
}
