package valid

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// validatePrincipals checks trust policies and resource policies, after their
// grammar.
func validatePrincipals(doc *syntax.Document, kind syntax.Kind) *syntax.MalformedError {
	if kind == syntax.KindTrust && doc.Indented() {
		return syntax.Malformed(syntax.Position{Line: 1, Column: 1}, messageLeading, "")
	}
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if err := validateStatementElements(s, kind); err != nil {
			return err
		}
	}
	if err := validatePrincipalSids(doc, kind); err != nil {
		return err
	}
	if kind == syntax.KindTrust {
		if err := eachAction(doc, validateTrustAction); err != nil {
			return err
		}
	}
	for i := range doc.Statements {
		if err := validateStatementPrincipals(&doc.Statements[i], kind); err != nil {
			return err
		}
	}
	return nil
}

// validateStatementElements repeats what Parse finds while parsing, for
// documents that come from Parse, and goes on to the elements that the grammar
// allows and the kind does not.
func validateStatementElements(s *syntax.Statement, kind syntax.Kind) *syntax.MalformedError {
	switch {
	case s.Effect.Value != "Allow" && s.Effect.Value != "Deny":
		return syntax.Malformed(s.Effect.Position, "Invalid effect: "+s.Effect.Value, "")
	case kind == syntax.KindTrust && s.Resource != nil:
		return syntax.Malformed(s.Resource.Position, "Has prohibited field Resource", "")
	case s.Principal == nil && s.NotPrincipal == nil:
		return syntax.Malformed(s.Position, "Missing required field Principal", "")
	case s.Action == nil && s.NotAction == nil:
		return syntax.Malformed(s.Position, "Missing required field Action", "")
	case kind == syntax.KindResource && s.Resource == nil && s.NotResource == nil:
		return syntax.Malformed(s.Position, "Missing required field Resource", "")
	case s.NotPrincipal != nil && s.Effect.Value == "Allow":
		return syntax.Malformed(s.NotPrincipal.Position, "Allow with NotPrincipal is not allowed.", "")
	case kind == syntax.KindTrust && s.NotPrincipal != nil:
		return syntax.Malformed(s.NotPrincipal.Position, "AssumeRole policy must not contain NotPrincipal field.", "")
	case kind == syntax.KindTrust && s.NotResource != nil:
		return syntax.Malformed(s.NotResource.Position, "AssumeRole policy must not contain resources.", "")
	}
	return nil
}

// validatePrincipalSids checks the statement ids. Only trust policies are held
// to letters and digits: the examples of other services have spaces.
func validatePrincipalSids(doc *syntax.Document, kind syntax.Kind) *syntax.MalformedError {
	var invalid []string
	var at syntax.Position
	for i := range doc.Statements {
		sid := doc.Statements[i].Sid
		if kind != syntax.KindTrust || sid == nil || alphanumeric(sid.Value) {
			continue
		}
		if len(invalid) == 0 {
			at = sid.Position
		}
		invalid = append(invalid, sid.Value)
	}
	if len(invalid) > 0 {
		return syntax.Malformed(at, "The following Statement Ids are invalid: "+strings.Join(invalid, ", "), "")
	}
	if sid := repeatedSid(doc); sid != nil {
		return syntax.Malformed(sid.Position, "The Statement Ids in the policy are not unique", "")
	}
	return nil
}

// trustActions are what a trust policy may speak of (IAM User Guide: "Creating IAM
// roles", session tags, source identity, trusted identity propagation).
var trustActions = []string{
	"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity", "sts:SetContext", "sts:SetSourceIdentity", "sts:TagSession",
}

// validateTrustAction wants actions of STS that have to do with assuming a role, or
// patterns of some of them.
func validateTrustAction(action syntax.Text) *syntax.MalformedError {
	pattern := policy.CompileAction(action.Value)
	if pattern.Service != "sts" || !slices.ContainsFunc(trustActions, pattern.Match) {
		return syntax.Malformed(action.Position, "AssumeRole policy may only specify STS AssumeRole actions.", "")
	}
	return nil
}

func validateStatementPrincipals(s *syntax.Statement, kind syntax.Kind) *syntax.MalformedError {
	e := s.Principal
	if e == nil {
		e = s.NotPrincipal
	}
	all := e.Principals()
	if len(all) == 0 {
		return syntax.Malformed(e.Position, "The passed in policy has a statement with no principals!", "")
	}
	for i := range all {
		if !WellFormed(all[i]) && !(kind == syntax.KindResource && isOriginAccess(all[i])) {
			return InvalidPrincipal(all[i])
		}
	}
	return nil
}

// InvalidPrincipal is AWS's complaint about a principal that is no principal
// or does not exist. Only the caller can know the latter.
func InvalidPrincipal(p syntax.Principal) *syntax.MalformedError {
	name := cmp.Or(strings.ToUpper(p.Type.Name()), "STAR")
	return syntax.Malformed(p.Position, fmt.Sprintf(`Invalid principal in policy: "%s":"%s"`, name, p.Value), "")
}

// webIdentityProviders need no provider in the account (AWS: "JSON policy
// elements: Principal", web identity).
var webIdentityProviders = []string{
	"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com",
}

// WellFormed reports whether the value of a principal can name one of its type.
func WellFormed(p syntax.Principal) bool {
	switch p.Type {
	case syntax.PrincipalAll:
		return true
	case syntax.PrincipalAWS:
		return p.Value == "*" || IsAccount(p.Value) || isUniqueID(p.Value) || isPrincipalARN(p.Value)
	case syntax.PrincipalService:
		return isHost(p.Value)
	case syntax.PrincipalFederated:
		path := iamPath(p.Value)
		return slices.Contains(webIdentityProviders, p.Value) ||
			hasAnyPrefix(path, []string{"saml-provider/", "oidc-provider/"}) && !strings.ContainsAny(path, "*?")
	case syntax.PrincipalCanonicalUser:
		return p.Value != "" && alphanumeric(p.Value)
	}
	return false
}

// isOriginAccess tells a CloudFront origin access identity, which only policies of
// resources can name (CloudFront Developer Guide: "Restrict access to an Amazon S3
// origin").
func isOriginAccess(p syntax.Principal) bool {
	fields := strings.SplitN(p.Value, ":", scalar.ARNColons+1)
	if p.Type != syntax.PrincipalAWS || len(fields) <= scalar.ARNColons || fields[0] != "arn" || !syntax.IsPartition(fields[1]) ||
		fields[2] != "iam" || fields[3] != "" || fields[4] != "cloudfront" {
		return false
	}
	id, ok := strings.CutPrefix(fields[5], "user/CloudFront Origin Access Identity ")
	return ok && id != "" && alphanumeric(id)
}

// IsAccount tells that text has the form of an account: twelve digits.
func IsAccount(text string) bool { return len(text) == 12 && scalar.Digits(text) }

// isUniqueID tells that text has the form of AIDA... and its like.
func isUniqueID(text string) bool {
	return len(text) >= 16 && text[0] == 'A' && alphanumeric(text) && strings.ToUpper(text) == text
}

// iamPath returns the resource of an ARN of IAM with an account, or nothing.
func iamPath(arn string) string { return accountPath(arn, "iam") }

func accountPath(arn, service string) string {
	fields := strings.SplitN(arn, ":", scalar.ARNColons+1)
	if len(fields) <= scalar.ARNColons || fields[0] != "arn" || !syntax.IsPartition(fields[1]) ||
		fields[2] != service || fields[3] != "" || !IsAccount(fields[4]) {
		return ""
	}
	return fields[5]
}

// isPrincipalARN reports whether an ARN names a root, a user, a role or a
// session. Groups are no principals, and wildcards do not work in ARNs.
func isPrincipalARN(arn string) bool {
	if strings.ContainsAny(arn, "*?") {
		return false
	}
	path := iamPath(arn)
	if path == "root" {
		return true
	}
	kind, name, _ := strings.Cut(path, "/")
	if kind == "user" || kind == "role" {
		return name != ""
	}
	kind, name, _ = strings.Cut(accountPath(arn, "sts"), "/")
	role, session, _ := strings.Cut(name, "/")
	return kind == "assumed-role" && role != "" && session != "" || kind == "federated-user" && name != ""
}

// isHost tells that text looks like the name of a service: labels of letters,
// digits and hyphens with dots between them.
func isHost(text string) bool {
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || !alphanumeric(strings.ReplaceAll(label, "-", "")) {
			return false
		}
	}
	return len(labels) > 1
}

// validateOrganization checks service control policies, which have no
// principals, and resource control policies, which deny everybody something.
// Organizations answers with one message, whatever is wrong.
func validateOrganization(doc *syntax.Document, kind syntax.Kind) *syntax.MalformedError {
	fail := func(at syntax.Position, detail string) *syntax.MalformedError {
		return syntax.Malformed(at, syntax.MessageOrganization, detail)
	}
	if !doc.Variables() {
		return fail(doc.Position, "the version must be 2012-10-17")
	}
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if detail := organizationFault(s, kind); detail != "" {
			return fail(s.Position, detail)
		}
	}
	if err := legacyStatements(doc); err != nil {
		return fail(syntax.Position{Line: err.Line, Column: err.Column}, err.Detail)
	}
	form, err := legacyResources(doc)
	if err == nil {
		err = form
	}
	if err == nil {
		err = validateSids(doc)
	}
	if err == nil {
		err = eachAction(doc, validateVendor)
	}
	if err != nil {
		return fail(syntax.Position{Line: err.Line, Column: err.Column}, err.Message)
	}
	return nil
}

// organizationFault says what a statement has that the kind does not allow.
func organizationFault(s *syntax.Statement, kind syntax.Kind) string {
	switch {
	case s.Action.Empty() && s.NotAction.Empty():
		return "no actions"
	case s.Resource.Empty() && s.NotResource.Empty():
		return "no resources"
	case s.NotPrincipal != nil:
		return "NotPrincipal is not supported"
	case kind == syntax.KindSCP && s.Principal != nil:
		return "Principal is not supported"
	case kind == syntax.KindSCP:
		return ""
	case !everybody(s.Principal):
		return `Principal must be "*"`
	case s.NotAction != nil:
		return "NotAction is not supported"
	case fullAccess(s):
		return ""
	case s.Effect.Value != "Deny":
		return "Effect must be Deny"
	case slices.ContainsFunc(s.Action.Items, func(t syntax.Text) bool { return t.Value == "*" }):
		return "Action must name a service"
	}
	return ""
}

// everybody tells that the element is "*" and nothing else.
func everybody(e *syntax.PrincipalElement) bool {
	if e == nil {
		return false
	}
	all := e.Principals()
	return len(all) == 1 && all[0].Value == "*" && (all[0].Type == syntax.PrincipalAll || all[0].Type == syntax.PrincipalAWS)
}

// fullAccess tells that a statement is that of RCPFullAWSAccess, the one that
// allows.
func fullAccess(s *syntax.Statement) bool {
	one := func(l *syntax.List) bool { return !l.Empty() && len(l.Items) == 1 && l.Items[0].Value == "*" }
	return s.Effect.Value == "Allow" && one(s.Action) && one(s.Resource) && s.Condition == nil
}
