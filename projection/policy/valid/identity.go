package valid

import (
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Check checks a parsed document the way AWS does for policies of the kind
// and returns AWS's first complaint as a *MalformedError, or nil. It does not
// look at the size, nor whether the principals exist.
func Check(doc *syntax.Document, kind syntax.Kind) error {
	var err *syntax.MalformedError
	switch {
	case kind.Identity():
		err = validateIdentity(doc, kind)
	case kind.Organization():
		err = validateOrganization(doc, kind)
	default:
		err = validatePrincipals(doc, kind)
	}
	if err == nil {
		return nil
	}
	return err
}

const (
	messageLegacy  = "The policy failed legacy parsing"
	messageLeading = "JSON strings must not have leading spaces"
)

// validateIdentity holds AWS's order of checks: each runs over the whole
// document before the next one.
func validateIdentity(doc *syntax.Document, kind syntax.Kind) *syntax.MalformedError {
	// Inline policies may still be of version 2008-10-17, managed ones not.
	if (kind == syntax.KindManaged || kind == syntax.KindBoundary) && !doc.Variables() {
		at := doc.Position
		if doc.Version != nil {
			at = doc.Version.Position
		}
		return syntax.Malformed(at, "Policy document must be version 2012-10-17 or greater.", "")
	}
	for i := range doc.Statements {
		s := &doc.Statements[i]
		for _, e := range [...]*syntax.PrincipalElement{s.Principal, s.NotPrincipal} {
			if e != nil {
				return syntax.Malformed(e.Position, "Policy document should not specify a principal.", "")
			}
		}
	}
	if err := legacyDocument(doc); err != nil {
		return err
	}
	if err := legacyStatements(doc); err != nil {
		return err
	}
	resources, err := legacyResources(doc)
	if err != nil {
		return err
	}
	if err := validateSids(doc); err != nil {
		return err
	}
	if err := validatePresent(doc); err != nil {
		return err
	}
	if resources != nil {
		return resources
	}
	return eachAction(doc, validateVendor)
}

// legacyDocument finds what AWS's older parser cannot read of the document as a
// whole: white space before it, and a single statement before the version.
func legacyDocument(doc *syntax.Document) *syntax.MalformedError {
	switch {
	case doc.Indented():
		return syntax.Malformed(syntax.Position{Line: 1, Column: 1}, messageLegacy, "there is white space before the document")
	case doc.Single && doc.Version != nil && doc.Statements[0].Before(doc.Version.Position):
		return syntax.Malformed(doc.Statements[0].Position, messageLegacy, "a Statement that is no list stands before Version")
	}
	return nil
}

// legacyStatements finds what AWS's older parser cannot read: an effect in
// another letter case and dates that are none.
func legacyStatements(doc *syntax.Document) *syntax.MalformedError {
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Effect.Value != "Allow" && s.Effect.Value != "Deny" {
			return syntax.Malformed(s.Effect.Position, messageLegacy, "effects are spelled Allow and Deny")
		}
		if s.Condition == nil {
			continue
		}
		for _, block := range s.Condition.Blocks {
			if op, _ := syntax.ParseOperator(block.Operator.Value); op.Family != syntax.FamilyDate {
				continue
			}
			for _, key := range block.Keys {
				for _, value := range key.Values.Items {
					if _, ok := scalar.ParseInstant(value.Value); !ok {
						return syntax.Malformed(value.Position, messageLegacy, fmt.Sprintf("no date: %q", value.Value))
					}
				}
			}
		}
	}
	return nil
}

// legacyResources checks the resources. What is wrong with the form of a
// resource is the second result's business only when the older parser cannot
// read it; the first result AWS reports after other checks.
func legacyResources(doc *syntax.Document) (form, legacy *syntax.MalformedError) {
	for i := range doc.Statements {
		s := &doc.Statements[i]
		for _, list := range [...]*syntax.List{s.Resource, s.NotResource} {
			if list == nil {
				continue
			}
			for _, r := range list.Items {
				if form == nil {
					form = validateResource(r)
				}
			}
			if form != nil {
				continue
			}
			for _, r := range list.Items {
				if !legacyResource(r.Value) {
					return nil, syntax.Malformed(r.Position, messageLegacy, fmt.Sprintf("no ARN: %q", r.Value))
				}
			}
		}
	}
	return form, nil
}

// legacyResource tells whether the older parser reads a resource: it wants a
// service, and empty fields only in a whole ARN.
func legacyResource(r string) bool {
	if r == "*" {
		return true
	}
	fields := strings.Split(r, ":")
	return fields[2] != "" && (len(fields) > scalar.ARNColons || !strings.Contains(r, "::"))
}

// iamPaths are the beginnings of IAM's resources that AWS's message names.
var iamPaths = []string{
	"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/",
	"policy/", "sms-mfa/", "saml-provider/", "oidc-provider/", "report/", "access-report/",
}

// otherPaths are those of the resource types that IAM has, by the Service Authorization
// Reference, and that the message does not name: a policy could not be about them.
var otherPaths = []string{"assumed-role/", "delegation-request/", "role-template/"}

// validateResource checks the form of a resource of an identity policy.
func validateResource(r syntax.Text) *syntax.MalformedError {
	if r.Value == "*" {
		return nil
	}
	fail := func(format string, args ...any) *syntax.MalformedError {
		return syntax.Malformed(r.Position, fmt.Sprintf(format, args...), "")
	}
	fields := strings.SplitN(r.Value, ":", scalar.ARNColons+1)
	if len(fields) == 1 {
		return fail(`Resource %s must be in ARN format or "*".`, r.Value)
	}
	whole := append(slices.Clone(fields), "*", "*", "*", "*")[:scalar.ARNColons+1]
	if whole[1] != "*" && !syntax.IsPartition(whole[1]) {
		return fail(`Partition "%s" is not valid for resource "arn:%s".`, whole[1], strings.Join(whole[1:], ":"))
	}
	if fields[0] != "arn" {
		return fail(`Resource %s must be in ARN format or "*".`, r.Value)
	}
	service := whole[2]
	if len(fields) == 2 || strings.ContainsAny(service, "*?") {
		return fail("Resource vendor must be fully qualified and cannot contain regexes.")
	}
	if len(fields) <= scalar.ARNColons {
		return nil
	}
	region, account, resource := fields[3], fields[4], fields[5]
	switch {
	case service == "iam" && region != "":
		return fail("IAM resource %s cannot contain region information.", r.Value)
	case service == "iam" && resource != "*" && resource != "root" && !hasAnyPrefix(resource, iamPaths) && !hasAnyPrefix(resource, otherPaths):
		return fail(`IAM resource path must either be "*", root, or start with %s.`, strings.Join(iamPaths, ", "))
	case service == "s3" && region != "" && account == "":
		// Access points, jobs and the like have a region and an account.
		return fail("Resource %s can not contain region information.", r.Value)
	}
	return nil
}

func hasAnyPrefix(text string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(text, p) })
}

func validateSids(doc *syntax.Document) *syntax.MalformedError {
	for i := range doc.Statements {
		if sid := doc.Statements[i].Sid; sid != nil && !alphanumeric(sid.Value) {
			return syntax.Malformed(sid.Position, "Statement IDs (SID) must be alpha-numeric. "+
				"Check that your input satisfies the regular expression [0-9A-Za-z]*", "")
		}
	}
	if sid := repeatedSid(doc); sid != nil {
		return syntax.Malformed(sid.Position, "Statement IDs (SID) in a single policy must be unique.", "")
	}
	return nil
}

func alphanumeric(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// isVendor tells the prefixes of services.
func isVendor(text string) bool {
	for i := range len(text) {
		if text[i] != '-' && text[i] != '.' && !alphanumeric(text[i:i+1]) {
			return false
		}
	}
	return true
}

// repeatedSid returns the first statement id that an earlier statement has
// too. Empty ones do not count.
func repeatedSid(doc *syntax.Document) *syntax.Text {
	seen := make(map[string]bool)
	for i := range doc.Statements {
		sid := doc.Statements[i].Sid
		if sid == nil || sid.Value == "" {
			continue
		}
		if seen[sid.Value] {
			return sid
		}
		seen[sid.Value] = true
	}
	return nil
}

func validatePresent(doc *syntax.Document) *syntax.MalformedError {
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Action.Empty() && s.NotAction.Empty() {
			return syntax.Malformed(s.Position, "Policy statement must contain actions.", "")
		}
	}
	for i := range doc.Statements {
		s := &doc.Statements[i]
		if s.Resource.Empty() && s.NotResource.Empty() {
			return syntax.Malformed(s.Position, "Policy statement must contain resources.", "")
		}
	}
	return nil
}

// eachAction returns the first complaint about an action, those of Action
// before those of NotAction.
func eachAction(doc *syntax.Document, check func(syntax.Text) *syntax.MalformedError) *syntax.MalformedError {
	for _, negated := range [...]bool{false, true} {
		for i := range doc.Statements {
			list := doc.Statements[i].Action
			if negated {
				list = doc.Statements[i].NotAction
			}
			if list == nil {
				continue
			}
			for _, action := range list.Items {
				if err := check(action); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// validateVendor checks the form service:action.
func validateVendor(action syntax.Text) *syntax.MalformedError {
	vendor, name, colon := strings.Cut(action.Value, ":")
	switch {
	case action.Value == "*":
		return nil
	case !colon:
		return syntax.Malformed(action.Position,
			"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", "")
	case strings.Contains(name, ":"):
		return syntax.Malformed(action.Position, "Actions/Condition can contain only one colon.", "")
	case vendor != "*" && !isVendor(vendor):
		return syntax.Malformed(action.Position, fmt.Sprintf("Vendor %s is not valid", vendor), "")
	}
	return nil
}
