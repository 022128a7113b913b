package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// statementOf compiles the only statement of a document.
func statementOf(t *testing.T, members string) *Statement {
	t.Helper()
	doc, err := syntax.Parse(policyText(members))
	if err != nil {
		t.Fatal(err)
	}
	return &Compile(doc).Statements[0]
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		pattern, action string
		want            bool
	}{
		{"*", "s3:GetObject", true},
		{"s3:*", "s3:GetObject", true},
		{"S3:getobject", "s3:GetObject", true},
		{"s3:GetObject", "s3:GetObjectVersion", false},
		{"s3:GetObject", "s3:GetObjecu", false},
		{"s3:GetObject", "t3:GetObject", false},
		{"s3:Get?bject", "t3:GetObject", false},
		{"s3:GetObject*", "s3:GetObject", true},
		{"s3:Get*Version", "s3:GetObjectVersion", true},
		{"s3:Get*Version", "s3:GetObjectVersions", false},
		{"s3:*et*ect*", "s3:GetObjectAcl", true},
		{"s3:?etObject", "s3:GetObject", true},
		{"s3:?etObject", "s3:etObject", false},
		{"s3:Get?", "s3:Get", false},
		{"s3:Get**", "s3:Get", true},
		{"*:Get*", "s3:GetObject", true},
		{"s3*", "s3:GetObject", true},
		{"iam:*", "s3:GetObject", false},
		{"s3:${aws:username}", "s3:alice", false},
		{"", "", true},
		{"", "s3:GetObject", false},
	} {
		s := statementOf(t, `"Effect":"Allow","Resource":"*","Action":"`+c.pattern+`"`)
		if got := s.MatchAction(c.action); got != c.want {
			t.Errorf("Action %s, %s: got %v, want %v", c.pattern, c.action, got, c.want)
		}
		s = statementOf(t, `"Effect":"Allow","Resource":"*","NotAction":["`+c.pattern+`"]`)
		if got := s.MatchAction(c.action); got == c.want || !s.NotAction {
			t.Errorf("NotAction %s, %s: got %v, want %v", c.pattern, c.action, got, !c.want)
		}
	}
	for _, members := range []string{`"Effect":"Allow"`, `"Effect":"Allow","Action":[]`, `"Effect":"Allow","NotAction":[]`} {
		if statementOf(t, members).MatchAction("s3:GetObject") {
			t.Errorf("%s matches an action", members)
		}
	}
}

func TestActionPatterns(t *testing.T) {
	for text, want := range map[string]ActionPattern{
		"*":            {Text: "*"},
		"s3:Get*":      {Text: "s3:get*", Service: "s3", Prefix: "get"},
		"s3:*":         {Text: "s3:*", Service: "s3"},
		"s3:?x":        {Text: "s3:?x", Service: "s3"},
		"iam:PassRole": {Text: "iam:passrole", Service: "iam", Prefix: "passrole", Exact: true},
		"s*:Get":       {Text: "s*:get"},
		"*:Get":        {Text: "*:get"},
		"nothing":      {Text: "nothing", Exact: true},
	} {
		if got := CompileAction(text); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
	if got := string(AppendFold([]byte("x"), "IAM:PassÄRole")); got != "xiam:passÄrole" {
		t.Errorf("AppendFold: %s", got)
	}
}

func TestResources(t *testing.T) {
	for _, c := range []struct {
		entry, resource string
		want            bool
	}{
		{"*", "*", true},
		{"*", "arn:aws:s3:::b", true},
		{"arn:aws:s3:::b", "*", false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false},
		{"arn:aws:s3:::B", "arn:aws:s3:::b", false},
		{"arn:aws:s3:::b/?", "arn:aws:s3:::b/€", true},
		{"arn:aws:s3:::b/a*e*", "arn:aws:s3:::b/a:b:c:d:e", true},
		{"arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::123456789012:user/alice", true},
		{"arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::123456789012:user/bob", false},
		{"arn:aws:s3:::b/${aws:none}", "arn:aws:s3:::b/", false},
		{"arn:aws:s3:::b/${aws:none, 'd'}/*", "arn:aws:s3:::b/d/x", true},
		{"arn:aws:s3:::b/${aws:tags}", "arn:aws:s3:::b/x", false},
		{"arn:aws:iam::${aws:account}:user/a", "arn:aws:iam::123456789012:user/a", false},
		{"arn:aws:s3:::${*}", "arn:aws:s3:::*", true},
		{"arn:aws:s3:::${*}", "arn:aws:s3:::b", false},
		// Missing fields are wildcards.
		{"arn:aws:sqs", "arn:aws:sqs:us-east-1:123456789012:q", true},
		{"arn:aws:sqs:us-east-1", "arn:aws:sqs:us-east-1:123456789012:q", true},
		{"arn:aws:sqs:us-east-1", "arn:aws:sqs:us-east-2:123456789012:q", false},
		{"arn:aws:sqs:us-west-?:123456789012", "arn:aws:sqs:us-west-1:123456789012:q", true},
		{"sqs", "sqs:us-east-1:123456789012:q:a:b", false},
		// A * at the end of a field runs on, others do not.
		{"arn:aws:sqs:*:q", "arn:aws:sqs:us-east-1:123456789012:q", true},
		{"arn:aws:sqs:*", "arn:aws:sqs:us-east-1:123456789012:q", true},
		{"arn:aws:sqs:us*1:123456789012:q", "arn:aws:sqs:us-east-1:123456789012:q", true},
		{"arn:aws:sqs:us*2:q", "arn:aws:sqs:us-east-1:123456789012:q", false},
		{"arn:aws:sqs:us-east-1?123456789012:q", "arn:aws:sqs:us-east-1:123456789012:q", false},
		{"arn:aws:s?s:r:a:*x", "arn:aws:sqs:r:a::x", true},
		{"arn:aws:s?s:r:a:*x", "arn:aws:s:s:r:a::x", false},
		{"arn:*:a*b:c", "arn:x:ac:ab:c", true},
		{"arn:*:a*b:c", "arn:x:ac:a:b:c", false},
	} {
		ctx := contextOf(Single("aws:username", "alice"), Single("aws:account", "123456789012"), Multi("aws:tags", []string{"x"}))
		s := statementOf(t, `"Effect":"Allow","Action":"*","Resource":"`+c.entry+`"`)
		if got := s.MatchResource(c.resource, ctx); got != c.want {
			t.Errorf("Resource %s, %s: got %v, want %v", c.entry, c.resource, got, c.want)
		}
		s = statementOf(t, `"Effect":"Allow","Action":"*","NotResource":"`+c.entry+`"`)
		if got := s.MatchResource(c.resource, ctx); got == c.want {
			t.Errorf("NotResource %s, %s: got %v, want %v", c.entry, c.resource, got, !c.want)
		}
	}
	if !statementOf(t, `"Effect":"Allow"`).MatchResource("arn:aws:s3:::b", nil) {
		t.Error("a statement without Resource does not match")
	}
	if statementOf(t, `"Effect":"Allow","Resource":[]`).MatchResource("arn:aws:s3:::b", nil) {
		t.Error("an empty list of resources matches")
	}
}

func TestOldVersionResource(t *testing.T) {
	doc, err := syntax.Parse(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:username}"}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := Compile(doc).Statements[0]
	ctx := contextOf(Single("aws:username", "alice"))
	if s.MatchResource("arn:aws:s3:::b/alice", ctx) || !s.MatchResource("arn:aws:s3:::b/${aws:username}", ctx) {
		t.Error("a document without version replaces variables")
	}
}

// More variables than fit the array on the stack.
func TestManyVariables(t *testing.T) {
	n := maxVariables + 2
	s := statementOf(t, `"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::`+strings.Repeat("${aws:username}*", n)+`"`)
	if !s.MatchResource("arn:aws:s3:::"+strings.Repeat("alice", n)+"x", contextOf(Single("aws:username", "alice"))) {
		t.Error("no match")
	}
}

func TestCompiledStatement(t *testing.T) {
	doc, err := syntax.Parse(`{"Version": "2012-10-17", "Statement": [
  {"Effect": "deny", "Action": "s3:Get*", "Resource": "arn:aws:s3:::${aws:username}"},
  {"Sid": "Two", "Effect": "Allow", "NotPrincipal": {"AWS": ["1", "*"], "Service": "a.b", "Federated": "f", "CanonicalUser": "c", "Other": "o"},
   "Action": "*", "Condition": {"StringLike": {"aws:PrincipalTag/A": "${aws:PrincipalTag/b}", "S3:prefix": "x"}}},
  {"Effect": "Allow", "Principal": "*", "Action": "*"},
  {"Effect": "Allow", "Principal": "me", "Action": "*"}
]}`)
	if err != nil {
		t.Fatal(err)
	}
	p := Compile(doc)
	one, two, three, four := &p.Statements[0], &p.Statements[1], &p.Statements[2], &p.Statements[3]
	if one.Effect != syntax.Deny || two.Effect != syntax.Allow || one.Sid != "" || two.Sid != "Two" || one.Index != 0 || two.Index != 1 {
		t.Errorf("effects, ids or indexes: %+v %+v", one, two)
	}
	if one.Start != (syntax.Position{Line: 2, Column: 3}) || one.End != (syntax.Position{Line: 2, Column: 86}) || two.Conditions[1].Position != (syntax.Position{Line: 4, Column: 95}) {
		t.Errorf("positions: %v %v %v", one.Start, one.End, two.Conditions[1].Position)
	}
	var types []syntax.PrincipalType
	for _, q := range two.Principals {
		types = append(types, q.Type)
	}
	want := []syntax.PrincipalType{syntax.PrincipalAWS, syntax.PrincipalAWS, syntax.PrincipalService, syntax.PrincipalFederated, syntax.PrincipalCanonicalUser, syntax.PrincipalUnknown}
	if !slices.Equal(types, want) || !two.HasPrincipal || !two.NotPrincipal || one.HasPrincipal {
		t.Errorf("principals: %+v", two.Principals)
	}
	if three.NotPrincipal || len(three.Principals) != 1 || three.Principals[0].Type != syntax.PrincipalAll ||
		four.Principals[0].Type != syntax.PrincipalUnknown || four.Principals[0].Value != "me" {
		t.Errorf("bare principals: %+v %+v", three.Principals, four.Principals)
	}
	for i, want := range []string{"[{aws:username aws:username}]", "[{aws:principaltag/a aws:PrincipalTag/A} {aws:principaltag/b aws:principaltag/b} {s3:prefix S3:prefix}]"} {
		if got := fmt.Sprint(p.Statements[i].Uses()); got != want {
			t.Errorf("statement %d uses the keys %s, not %s", i, got, want)
		}
	}
	if syntax.Allow.String() != "Allow" || syntax.Deny.String() != "Deny" || syntax.Effect(0).String() != "none" {
		t.Error("names of effects")
	}
}

// lazyTime has one key, and counts how often it is asked.
type lazyTime int

func (l *lazyTime) Entry(k Key, n int) (Entry, bool) {
	*l++
	return Single(k, "lazy"), k == "aws:currenttime" && n == 0
}

func TestContextLookup(t *testing.T) {
	var ctx Context
	ctx.Add([]Entry{Single("aws:username", "alice")})
	ctx.Add([]Entry{Single("aws:username", "bob"), Single("aws:userid", "1")})
	var lazy lazyTime
	ctx.Lazy = &lazy
	for key, want := range map[Key]string{"aws:username": "alice", "aws:userid": "1", "aws:currenttime": "lazy"} {
		if e, ok := ctx.Lookup(key, 0); !ok || e.Value != want {
			t.Errorf("%s: %+v, %v", key, e, ok)
		}
	}
	if _, ok := ctx.Lookup("aws:none", 0); ok || lazy != 2 {
		t.Errorf("a missing key; Lazy was asked %d times", lazy)
	}
}

func TestUses(t *testing.T) {
	const statements = `"Statement":[{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::${aws:UserName}/${*}/${aws:userid, 'x'}","${broken"],
		"Condition":{"StringLike":{"s3:Prefix":["${AWS:USERNAME}","${aws:PrincipalTag/Team}"]},"IpAddress":{"aws:SourceIp":"${aws:VpcSourceIp}"},
		"Null":{"S3:prefix":"true"}}},{"Effect":"Deny","NotAction":"*","NotResource":"arn:aws:s3:::${aws:PrincipalArn}"}]}`
	for version, want := range map[string][]string{
		syntax.Version2012: {"aws:principaltag/team", "aws:SourceIp", "aws:userid", "aws:username", "s3:Prefix", "aws:principalarn"},
		syntax.Version2008: {"aws:SourceIp", "s3:Prefix"},
	} {
		doc, err := syntax.Parse(`{"Version":"` + version + `",` + statements)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range Compile(doc).Statements {
			for _, use := range s.Uses() {
				got = append(got, use.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}

// policyText makes a document of version 2012-10-17 with the statements, given
// as their members.
func policyText(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[{` + strings.Join(statements, `},{`) + `}]}`
}
