package policy

import (
	"testing"

	"github.com/writ-iam/writ/projection/policy/syntax"
)

// benchmarkStatement is a statement as people write them.
func benchmarkStatement(tb testing.TB) *Statement {
	doc, err := syntax.Parse(policyText(`"Effect":"Allow",
		"Action":["iam:Get*","iam:List*","s3:GetObject*","s3:PutObject"],
		"Resource":["arn:aws:s3:::other/*","arn:aws:s3:::team-*/data/*.json","arn:aws:s3:::home/${aws:username}/*"],
		"Condition":{"StringEquals":{"aws:PrincipalTag/team":["blue","red"]},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.0/24"]},
			"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"},
			"Bool":{"aws:SecureTransport":"true"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"},
			"ForAllValues:StringLike":{"aws:TagKeys":["a*","b*"]},"Null":{"aws:TokenIssueTime":"true"},
			"StringEqualsIgnoreCase":{"aws:username":"ALICE"}}`))
	if err != nil {
		tb.Fatal(err)
	}
	return &Compile(doc).Statements[0]
}

func benchmarkContext() *Context {
	var ctx Context
	ctx.Add([]Entry{
		Single("aws:principalarn", "arn:aws:iam::123456789012:user/alice"), Single("aws:username", "alice"),
		Single("aws:userid", "AIDAEXAMPLE"), Single("aws:principalaccount", "123456789012"),
		Single("aws:principaltag/team", "red"), Single("aws:principaltag/project", "x"),
	})
	ctx.Add([]Entry{
		Single("aws:sourceip", "192.0.2.44"), Single("aws:currenttime", "2026-05-01T10:00:00Z"),
		Single("aws:securetransport", "true"), Single("aws:multifactorauthage", "120"),
		Multi("aws:tagkeys", []string{"alpha", "beta"}),
	})
	return &ctx
}

// steps are the parts of a decision about one statement.
var steps = []struct {
	name string
	run  func(s *Statement, ctx *Context) bool
}{
	{"Action", func(s *Statement, _ *Context) bool { return s.MatchAction("s3:GetObjectVersion") }},
	{"ActionMiss", func(s *Statement, _ *Context) bool { return !s.MatchAction("ec2:RunInstances") }},
	{"ResourceWildcards", func(s *Statement, ctx *Context) bool {
		return s.MatchResource("arn:aws:s3:::team-blue/data/2026/05/report.json", ctx)
	}},
	{"ResourceVariable", func(s *Statement, ctx *Context) bool {
		return s.MatchResource("arn:aws:s3:::home/alice/notes.txt", ctx)
	}},
	{"NineConditions", func(s *Statement, ctx *Context) bool { return s.MatchConditions(ctx) }},
}

// A match allocates nothing.
func TestNoAllocations(t *testing.T) {
	s, ctx := benchmarkStatement(t), benchmarkContext()
	for _, step := range steps {
		if !step.run(s, ctx) {
			t.Errorf("%s: no match", step.name)
		}
		if n := testing.AllocsPerRun(100, func() { step.run(s, ctx) }); n != 0 {
			t.Errorf("%s: %v allocations", step.name, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	s, ctx := benchmarkStatement(b), benchmarkContext()
	for _, step := range steps {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				step.run(s, ctx)
			}
		})
	}
}
