package authz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// candidates returns the statements that the index finds for an action.
func candidates(x *index, action string) []*policy.Statement {
	var a actionHash
	a.hash(action)
	list := slices.Clone(x.statements[x.always.first:x.always.end])
	for found, rest := a.next(x.group(&a)); found != nil; found, rest = a.next(rest) {
		list = append(list, x.statements[found.run.first:found.run.end]...)
	}
	return list
}

// randomName makes names with common beginnings, some longer than what is
// indexed.
func randomName(rng *rand.Rand) string {
	heads := []string{"Get", "GetObject", "Describe", "Put", "PutBucketPublicAccessBlockForOrganizations", ""}
	name := heads[rng.IntN(len(heads))]
	for range rng.IntN(4) {
		name += string(rune('A' + rng.IntN(4)))
	}
	return name
}

func TestIndexFindsEveryStatementThatCanMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	services := []string{"s3", "ec2", "S3", "kms"}
	for range 60 {
		var statements []string
		for range 1 + rng.IntN(150) {
			name := randomName(rng)
			patterns := []string{
				services[rng.IntN(4)] + ":" + name,
				services[rng.IntN(4)] + ":" + name + "*",
				services[rng.IntN(4)] + ":" + name + "?x*",
				services[rng.IntN(4)] + ":*" + name,
			}
			pattern := patterns[rng.IntN(4)]
			switch rng.IntN(30) {
			case 0:
				pattern = "*"
			case 1:
				pattern = "s*:" + name
			}
			element := "Action"
			if rng.IntN(30) == 0 {
				element = "NotAction"
			}
			effect := []string{"Allow", "Deny"}[rng.IntN(2)]
			statements = append(statements, fmt.Sprintf(`{"Effect":%q,%q:[%q,"s3:%s"],"Resource":"*"}`, effect, element, pattern, randomName(rng)))
		}
		doc := compileText(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`)
		set := NewSet(Policy{Document: doc})
		for range 200 {
			action := services[rng.IntN(4)] + ":" + randomName(rng)
			found := candidates(&set.index, action)
			for i := range doc.Statements {
				s := &doc.Statements[i]
				if s.MatchAction(action) && !slices.Contains(found, s) {
					t.Fatalf("%s: statement %d is not found: %s", action, i, statements[i])
				}
			}
		}
	}
}

// A decision looks at few of many statements, however many there are.
func TestIndexSkipsOthers(t *testing.T) {
	var policies []Policy
	for i := range 2000 {
		policies = append(policies, Policy{Document: compileText(t, fmt.Sprintf(`{"Version":"2012-10-17","Statement":
			{"Effect":"Allow","Action":["s3:Get%dObject","s3:Put%d*","svc%d:*"],"Resource":"*"}}`, i, i, i))})
	}
	set := NewSet(policies...)
	for action, want := range map[string]int{
		"s3:Get7Object": 1, "S3:GET1999OBJECT": 1, "s3:Put7X": 1, "s3:Put1999": 4, "svc3:Anything": 1,
		"s3:List": 0, "ec2:Run": 0, "s3": 0, "": 0,
	} {
		if got := len(candidates(&set.index, action)); got != want {
			t.Errorf("%q: %d candidates, want %d", action, got, want)
		}
		r := &Request{Principal: &Principal{Account: accountA}, Action: action, Resource: "*"}
		if got := Prepare(Layers{Identity: []*Set{set}}).Evaluate(r).Allowed(); got != (want > 0) {
			t.Errorf("%q: allowed %v", action, got)
		}
	}
}

func TestIndexPutsDenyFirst(t *testing.T) {
	doc := compileText(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"s3:*","Resource":"*"},
		{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","NotAction":"ec2:*","Resource":"*"}]}`)
	x := NewSet(Policy{Document: doc}).index
	for _, r := range []run{x.always, x.entries[x.services].run} {
		if r.allow != r.first+1 || r.end != r.first+2 ||
			x.statements[r.first].Effect != syntax.Deny || x.statements[r.allow].Effect != syntax.Allow {
			t.Errorf("run %+v is not one Deny, one Allow", r)
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	doc := compileText(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{
			"StringLike":{"aws:PrincipalTag/team":"r*"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"},
			"NumericLessThan":{"s3:max-keys":"10"},"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}}},
		{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}]}`)
	trust := compileText(t, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":{"AWS":"222222222222"},"Action":"s3:*","Resource":"*"}}`)
	set := NewSet(Policy{Document: doc})
	p := Prepare(Layers{Identity: []*Set{set, set}, Boundaries: []*Set{set}, Session: set, SCPs: []*Set{set}})
	r := &Request{
		Principal: &Principal{ARN: "arn:aws:iam::111111111111:user/alice", Account: accountA, Name: "alice", Tags: []Tag{{"Team", "red"}}},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/alice/k",
		Target:  &Target{Policy: NewResourceSet(Policy{Document: trust})},
		Context: []policy.Entry{policy.Single("s3:max-keys", "9"), policy.Multi("aws:tagkeys", []string{"a", "b"})},
	}
	r.FillGlobals(&Globals{SourceIP: "10.1.1.1", Transport: TLSTransport})
	if d := p.Evaluate(r); !d.Allowed() {
		t.Fatalf("%v by %v", d.Outcome, d.By)
	}
	if n := testing.AllocsPerRun(100, func() { p.Evaluate(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
