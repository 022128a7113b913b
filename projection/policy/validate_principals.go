package policy

import (
	"fmt"
	"slices"
	"strings"
)

// validatePrincipals checks trust policies and resource policies, after their
// grammar.
func validatePrincipals(doc *Document, kind Kind) *MalformedError {
	if kind == KindTrust && doc.indented() {
		return malformed(Position{1, 1}, messageLeading, "")
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
	if kind == KindTrust {
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

// validateStatementElements repeats what ParseValid finds while parsing, for
// documents that come from Parse, and goes on to the elements that the grammar
// allows and the kind does not.
func validateStatementElements(s *DocumentStatement, kind Kind) *MalformedError {
	switch {
	case s.Effect.Value != "Allow" && s.Effect.Value != "Deny":
		return malformed(s.Effect.Position, "Invalid effect: "+s.Effect.Value, "")
	case kind == KindTrust && s.Resource != nil:
		return malformed(s.Resource.Position, "Has prohibited field Resource", "")
	case s.Principal == nil && s.NotPrincipal == nil:
		return malformed(s.Position, "Missing required field Principal", "")
	case s.Action == nil && s.NotAction == nil:
		return malformed(s.Position, "Missing required field Action", "")
	case kind == KindResource && s.Resource == nil && s.NotResource == nil:
		return malformed(s.Position, "Missing required field Resource", "")
	case s.NotPrincipal != nil && s.Effect.Value == "Allow":
		return malformed(s.NotPrincipal.Position, "Allow with NotPrincipal is not allowed.", "")
	case kind == KindTrust && s.NotPrincipal != nil:
		return malformed(s.NotPrincipal.Position, "AssumeRole policy must not contain NotPrincipal field.", "")
	case kind == KindTrust && s.NotResource != nil:
		return malformed(s.NotResource.Position, "AssumeRole policy must not contain resources.", "")
	}
	return nil
}

// validatePrincipalSids checks the statement ids. Only trust policies are held
// to letters and digits: the examples of other services have spaces.
func validatePrincipalSids(doc *Document, kind Kind) *MalformedError {
	var invalid []string
	var at Position
	for i := range doc.Statements {
		sid := doc.Statements[i].Sid
		if kind != KindTrust || sid == nil || alphanumeric(sid.Value) {
			continue
		}
		if len(invalid) == 0 {
			at = sid.Position
		}
		invalid = append(invalid, sid.Value)
	}
	if len(invalid) > 0 {
		return malformed(at, "The following Statement Ids are invalid: "+strings.Join(invalid, ", "), "")
	}
	if sid := repeatedSid(doc); sid != nil {
		return malformed(sid.Position, "The Statement Ids in the policy are not unique", "")
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
func validateTrustAction(action Text) *MalformedError {
	pattern := compileAction(action.Value)
	if pattern.Service != "sts" || !slices.ContainsFunc(trustActions, pattern.Match) {
		return malformed(action.Position, "AssumeRole policy may only specify STS AssumeRole actions.", "")
	}
	return nil
}

func validateStatementPrincipals(s *DocumentStatement, kind Kind) *MalformedError {
	e := s.Principal
	if e == nil {
		e = s.NotPrincipal
	}
	all := compilePrincipals(e)
	if len(all) == 0 {
		return malformed(e.Position, "The passed in policy has a statement with no principals!", "")
	}
	for i := range all {
		if !all[i].wellFormed() && !(kind == KindResource && all[i].originAccess()) {
			return InvalidPrincipal(all[i])
		}
	}
	return nil
}

// InvalidPrincipal is AWS's complaint about a principal that is no principal
// or does not exist. Only the caller can know the latter.
func InvalidPrincipal(p Principal) *MalformedError {
	name := "STAR"
	for key, t := range principalTypes {
		if t == p.Type {
			name = strings.ToUpper(key)
		}
	}
	return malformed(p.Position, fmt.Sprintf(`Invalid principal in policy: "%s":"%s"`, name, p.Value), "")
}

// webIdentityProviders need no provider in the account (AWS: "JSON policy
// elements: Principal", web identity).
var webIdentityProviders = []string{
	"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com",
}

// wellFormed reports whether the value can name a principal of its type.
func (p *Principal) wellFormed() bool {
	switch p.Type {
	case PrincipalAll:
		return true
	case PrincipalAWS:
		return p.Value == "*" || isAccount(p.Value) || isUniqueID(p.Value) || isPrincipalARN(p.Value)
	case PrincipalService:
		return isHost(p.Value)
	case PrincipalFederated:
		path := iamPath(p.Value)
		return slices.Contains(webIdentityProviders, p.Value) ||
			hasAnyPrefix(path, []string{"saml-provider/", "oidc-provider/"}) && !strings.ContainsAny(path, "*?")
	case PrincipalCanonicalUser:
		return p.Value != "" && alphanumeric(p.Value)
	}
	return false
}

// originAccess tells a CloudFront origin access identity, which only policies of
// resources can name (CloudFront Developer Guide: "Restrict access to an Amazon S3
// origin").
func (p *Principal) originAccess() bool {
	fields := strings.SplitN(p.Value, ":", arnColons+1)
	if p.Type != PrincipalAWS || len(fields) <= arnColons || fields[0] != "arn" || fields[1] == "*" || !slices.Contains(partitions, fields[1]) ||
		fields[2] != "iam" || fields[3] != "" || fields[4] != "cloudfront" {
		return false
	}
	id, ok := strings.CutPrefix(fields[5], "user/CloudFront Origin Access Identity ")
	return ok && id != "" && alphanumeric(id)
}

func isAccount(text string) bool { return len(text) == 12 && allDigits(text) }

// isUniqueID tells that text has the form of AIDA... and its like.
func isUniqueID(text string) bool {
	return len(text) >= 16 && text[0] == 'A' && alphanumeric(text) && strings.ToUpper(text) == text
}

// iamPath returns the resource of an ARN of IAM with an account, or nothing.
func iamPath(arn string) string { return accountPath(arn, "iam") }

func accountPath(arn, service string) string {
	fields := strings.SplitN(arn, ":", arnColons+1)
	if len(fields) <= arnColons || fields[0] != "arn" || fields[1] == "*" || !slices.Contains(partitions, fields[1]) ||
		fields[2] != service || fields[3] != "" || !isAccount(fields[4]) {
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
func validateOrganization(doc *Document, kind Kind) *MalformedError {
	fail := func(at Position, detail string) *MalformedError { return malformed(at, messageOrganization, detail) }
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
		return fail(Position{err.Line, err.Column}, err.Detail)
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
		return fail(Position{err.Line, err.Column}, err.Message)
	}
	return nil
}

// organizationFault says what a statement has that the kind does not allow.
func organizationFault(s *DocumentStatement, kind Kind) string {
	switch {
	case s.Action.empty() && s.NotAction.empty():
		return "no actions"
	case s.Resource.empty() && s.NotResource.empty():
		return "no resources"
	case s.NotPrincipal != nil:
		return "NotPrincipal is not supported"
	case kind == KindSCP && s.Principal != nil:
		return "Principal is not supported"
	case kind == KindSCP:
		return ""
	case !s.Principal.everybody():
		return `Principal must be "*"`
	case s.NotAction != nil:
		return "NotAction is not supported"
	case fullAccess(s):
		return ""
	case s.Effect.Value != "Deny":
		return "Effect must be Deny"
	case slices.ContainsFunc(s.Action.Items, func(t Text) bool { return t.Value == "*" }):
		return "Action must name a service"
	}
	return ""
}

// everybody tells that the element is "*" and nothing else.
func (e *PrincipalElement) everybody() bool {
	if e == nil {
		return false
	}
	all := compilePrincipals(e)
	return len(all) == 1 && all[0].Value == "*" && (all[0].Type == PrincipalAll || all[0].Type == PrincipalAWS)
}

// fullAccess tells that a statement is that of RCPFullAWSAccess, the one that
// allows.
func fullAccess(s *DocumentStatement) bool {
	one := func(l *List) bool { return !l.empty() && len(l.Items) == 1 && l.Items[0].Value == "*" }
	return s.Effect.Value == "Allow" && one(s.Action) && one(s.Resource) && s.Condition == nil
}
