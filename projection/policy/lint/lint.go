// Package lint finds what is wrong, dangerous, without effect or needless in policies,
// with the codes of IAM Access Analyzer where it has the same check. It reads documents
// and what they compile to; no decision depends on it. It is pure.
package lint

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/scalar"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

// Severity grades a finding as IAM Access Analyzer does.
type Severity byte

// The severities.
const (
	// Error: a part of the policy does not work.
	Error Severity = iota
	// SecurityWarning: the policy may allow more than was meant.
	SecurityWarning
	// Warning: not what AWS recommends, or without effect.
	Warning
	// Suggestion: could be written better.
	Suggestion
)

// String returns "error", "security-warning", "warning" or "suggestion".
func (s Severity) String() string {
	return [...]string{"error", "security-warning", "warning", "suggestion"}[s]
}

// Finding is something that Check has to say.
type Finding struct {
	Severity Severity
	// Code names the check: that of IAM Access Analyzer where it has the check
	// ("Access Analyzer policy check reference").
	Code    string
	Message string
	syntax.Position
	// Statement is the index of the statement, or -1 for the document.
	Statement int
}

// Check looks for what is wrong, dangerous, without effect or needless in a
// policy, beyond what package valid refuses; what that refuses is the first
// finding, with the code INVALID_POLICY. catalogue may be nil. The findings are
// in the order of their places.
func Check(doc *syntax.Document, kind syntax.Kind, catalogue *catalogue.Catalogue) []Finding {
	l := linter{doc: doc, kind: kind, catalogue: catalogue, compiled: policy.Compile(doc), statement: -1}
	var err *syntax.MalformedError
	if errors.As(valid.Check(doc, kind), &err) {
		l.add(Error, "INVALID_POLICY", syntax.Position{Line: err.Line, Column: err.Column}, "%s", err.Message)
	}
	if doc.Version == nil {
		l.add(Warning, "MISSING_VERSION", doc.Position, `without Version the policy is of version %s; add "Version": "%s"`, syntax.Version2008, syntax.Version2012)
	}
	for i := range doc.Statements {
		l.statement = i
		l.lintStatement(&doc.Statements[i], &l.compiled.Statements[i])
	}
	l.lintOverlaps()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return l.findings
}

type linter struct {
	doc       *syntax.Document
	kind      syntax.Kind
	catalogue *catalogue.Catalogue
	compiled  *policy.Policy
	known     *catalogue.Names                   // see names
	resources map[string]*policy.ResourcePattern // see resource
	statement int                                // being looked at
	findings  []Finding
}

func (l *linter) add(s Severity, code string, at syntax.Position, format string, args ...any) {
	l.findings = append(l.findings, Finding{
		Severity: s, Code: code, Message: fmt.Sprintf(format, args...), Position: at, Statement: l.statement,
	})
}

func (l *linter) lintStatement(src *syntax.Statement, s *policy.Statement) {
	if src.Sid != nil && src.Sid.Value == "" {
		l.add(Suggestion, "EMPTY_SID_VALUE", src.Sid.Position, "the statement id is empty")
	}
	l.lintActions(src, s)
	l.lintResources(src, s)
	l.lintPassRole(src, s)
	l.lintPrincipals(src, s)
	if src.Condition != nil {
		l.lintConditions(src, s)
	}
}

func (l *linter) lintActions(src *syntax.Statement, s *policy.Statement) {
	if s.NotAction && s.Effect == syntax.Allow && l.grants() {
		l.add(SecurityWarning, "ALLOW_WITH_NOT_ACTION", src.NotAction.Position, "NotAction with Allow allows every action that is not listed, also future ones")
	}
	if s.NotAction && slices.ContainsFunc(s.Actions, func(a policy.ActionPattern) bool { return a.Text == "*" }) {
		l.never(src.NotAction.Position, `NotAction "*" leaves no action`)
	}
	for i, item := range src.Actions() {
		if strings.Contains(item.Value, "${") {
			l.add(Error, "VARIABLE_UNSUPPORTED_IN_ELEMENT", item.Position, "variables are not replaced in actions")
		}
		pattern := &s.Actions[i]
		if l.catalogue == nil || !l.catalogue.HasService(pattern.Service) || l.catalogue.Matches(pattern) {
			continue
		}
		l.add(Error, "INVALID_ACTION", item.Position, "there is no action %s", item.Value)
	}
}

// grants tells that an Allow gives something. Boundaries and control policies
// only limit what others give.
func (l *linter) grants() bool { return l.kind != syntax.KindBoundary && !l.kind.Organization() }

// never reports a statement that cannot apply to any request.
func (l *linter) never(at syntax.Position, why string) {
	l.add(Warning, "STATEMENT_NEVER_MATCHES", at, "the statement never applies: %s", why)
}

func (l *linter) lintResources(src *syntax.Statement, s *policy.Statement) {
	if s.NotResource && s.Effect == syntax.Allow && l.grants() {
		l.add(SecurityWarning, "ALLOW_WITH_NOT_RESOURCE", src.NotResource.Position, "NotResource with Allow allows access to every resource that is not listed, also future ones")
	}
	for _, item := range src.NotResource.Texts() {
		if item.Value == "*" {
			l.never(item.Position, `NotResource "*" leaves no resource`)
		}
	}
	for _, item := range src.Resources() {
		l.lintVariables(item)
		if item.Value != "*" {
			l.lintARN(item)
		}
	}
	if l.grants() && s.Effect == syntax.Allow && len(s.Conditions) == 0 && allOf(src.Action) && allOf(src.Resource) && !s.HasPrincipal {
		l.add(SecurityWarning, "FULL_ADMINISTRATOR_ACCESS", src.Position, "the statement allows everything")
	}
}

// allOf tells that a list contains "*".
func allOf(list *syntax.List) bool {
	return slices.ContainsFunc(list.Texts(), func(t syntax.Text) bool { return t.Value == "*" })
}

func (l *linter) lintARN(item syntax.Text) {
	outline := policy.OutlineOf(item.Value, l.doc.Variables())
	if !strings.HasPrefix(outline.Head(), "arn:") {
		return // package valid has more to say
	}
	if outline.EarlyVariable() {
		l.add(Error, "VARIABLE_UNSUPPORTED_IN_ARN_FIELD", item.Position, "variables are replaced only after the fifth colon of an ARN; this resource matches nothing")
		return
	}
	fields := strings.SplitN(item.Value, ":", scalar.ARNColons+1)
	if len(fields) <= scalar.ARNColons {
		l.add(Warning, "MISSING_ARN_FIELD", item.Position, "the ARN has %d of 6 fields; the others count as \"*\"", len(fields))
		return
	}
	if service := fields[2]; service != strings.ToLower(service) {
		l.add(Error, "INVALID_ARN_SERVICE_CASE", item.Position, "services in ARNs are written in lower case")
	}
	account := fields[4]
	if account != "" && account != "aws" && !valid.IsAccount(account) && !strings.ContainsAny(account, "*?") {
		l.add(Error, "INVALID_ARN_ACCOUNT", item.Position, "%q is no account", account)
	}
}

// lintVariables checks the variables of a string where version 2012-10-17
// replaces them.
func (l *linter) lintVariables(item syntax.Text) {
	text := item.Value
	if !strings.Contains(text, "${") {
		return
	}
	if !l.doc.Variables() {
		l.add(Error, "VARIABLE_UNSUPPORTED_IN_VERSION", item.Position, "variables need version %s; here they are plain text", syntax.Version2012)
		return
	}
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			return
		}
		text = text[i:]
		n := policy.VariableLen(text)
		if n == 0 {
			l.badVariable(item.Position, text)
			n = 2
		}
		text = text[n:]
	}
}

// badVariable says why a text that begins like a variable is none.
func (l *linter) badVariable(at syntax.Position, text string) {
	body, _, closed := strings.Cut(text[2:], "}")
	name, value, hasDefault := strings.Cut(body, ",")
	switch {
	case !closed:
		l.add(Error, "MISSING_BRACE_IN_VARIABLE", at, "a variable lacks its closing brace")
	case strings.TrimSpace(name) == "":
		l.add(Error, "EMPTY_VARIABLE", at, "a variable has no name")
	case strings.TrimSpace(name) != name:
		l.add(Error, "UNSUPPORTED_SPACE_IN_VARIABLE", at, "a variable's name has spaces around it")
	case hasDefault && strings.Count(value, "'") != 2:
		l.add(Error, "MISSING_QUOTE_IN_VARIABLE", at, "a variable's default must stand in single quotes")
	default:
		l.add(Error, "INVALID_VARIABLE", at, "%q is no variable", "${"+body+"}")
	}
}

// lintPassRole warns of statements that let their owner give any role to a
// service.
func (l *linter) lintPassRole(src *syntax.Statement, s *policy.Statement) {
	const action = "iam:PassRole"
	if s.Effect != syntax.Allow || !l.grants() || s.HasPrincipal || !s.MatchAction(action) || l.passRoleLimited(s) {
		return
	}
	code := "PASS_ROLE_WITH"
	at := src.Position
	switch {
	case s.NotAction:
		code += "_NOT_ACTION_AND"
		at = src.NotAction.Position
	case !slices.ContainsFunc(s.Actions, func(a policy.ActionPattern) bool { return a.Exact && a.Match(action) }):
		code += "_STAR_IN_ACTION_AND"
		at = src.Action.Position
	}
	switch {
	case s.NotResource:
		l.add(SecurityWarning, code+"_NOT_RESOURCE", at, "iam:PassRole is allowed for every role that is not listed")
	case allOf(src.Resource) && strings.HasSuffix(code, "STAR_IN_ACTION_AND"):
		l.add(SecurityWarning, code+"_RESOURCE", at, "iam:PassRole is allowed for every role; name the roles or add the condition iam:PassedToService")
	case allOf(src.Resource):
		l.add(SecurityWarning, code+"_STAR_IN_RESOURCE", at, "iam:PassRole is allowed for every role; name the roles or add the condition iam:PassedToService")
	}
}

// passRoleLimited tells that conditions say to whom or for what a role may be
// passed.
func (l *linter) passRoleLimited(s *policy.Statement) bool {
	return slices.ContainsFunc(s.Conditions, func(c policy.Condition) bool {
		return c.Key == "iam:passedtoservice" || c.Key == "iam:associatedresourcearn"
	})
}

// names are the names of services, made when a policy needs them.
func (l *linter) names() *catalogue.Names {
	if l.known == nil {
		l.known = catalogue.BuiltinNames()
	}
	return l.known
}

func (l *linter) lintPrincipals(src *syntax.Statement, s *policy.Statement) {
	if !s.HasPrincipal {
		return
	}
	if s.NotPrincipal && s.Effect == syntax.Allow {
		l.add(SecurityWarning, "ALLOW_WITH_NOT_PRINCIPAL", src.NotPrincipal.Position, "NotPrincipal with Allow lets in everybody who is not listed")
	}
	for _, p := range s.Principals {
		if p.Type == syntax.PrincipalService && valid.WellFormed(p) && l.catalogue != nil && !l.names().KnownPrincipal(p.Value) {
			l.add(Warning, "UNKNOWN_SERVICE_PRINCIPAL", p.Position, "no service principal %s is known here; if it is none of AWS's, the statement lets in nobody", p.Value)
		}
		if strings.Contains(p.Value, "${") {
			l.add(Error, "VARIABLE_UNSUPPORTED_IN_ELEMENT", p.Position, "variables are not replaced in principals")
		}
		everybody := p.Value == "*" && (p.Type == syntax.PrincipalAll || p.Type == syntax.PrincipalAWS)
		if everybody && !s.NotPrincipal && s.Effect == syntax.Allow && len(s.Conditions) == 0 && l.grants() {
			l.add(SecurityWarning, "ALLOW_WITH_STAR_IN_PRINCIPAL", p.Position, "the statement lets in everybody")
		}
	}
}
