package lint

import (
	"testing"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

// Whatever the text: no panic, an error with a place or a document that all
// functions take.
func FuzzLint(f *testing.F) {
	for _, text := range []string{
		policyText(`"Effect":"Allow","Action":"s3:*","Resource":"*"`),
		`{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":["*"],"Service":"a.b"},"NotAction":["s3:Get*"],` +
			`"NotResource":["arn:aws:s3:::${aws:username, 'x'}/*"],"Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a","b"]},"Bool":{"aws:SecureTransport":true}}}]}`,
		`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"DateLessThan":{"aws:CurrentTime":"2024-05-01T10:00:00.5+02:00"},` +
			`"NumericEquals":{"a:b":[1.5,"2"]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*"},"Null":{"x":"true"}}}}`,
		`{"Statement":[{"Sid":"\u00e9\ud83d\ude00\n"}]}`,
	} {
		f.Add(text)
	}
	catalogue := catalogue.Builtin()
	f.Fuzz(func(t *testing.T, text string) {
		for k := range syntax.KindRCP + 1 {
			_, err := valid.Parse(text, k)
			if bad, ok := err.(*syntax.MalformedError); ok && (bad.Message == "" || bad.Line < 1 || bad.Column < 1) {
				t.Errorf("incomplete error %+v", bad)
			}
		}
		doc, err := syntax.Parse(text)
		if err != nil {
			return
		}
		var ctx policy.Context
		ctx.Add([]policy.Entry{policy.Single("aws:username", "alice"), policy.Multi("aws:tagkeys", []string{"a"})})
		compiled := policy.Compile(doc)
		for i := range compiled.Statements {
			s := &compiled.Statements[i]
			s.MatchAction("s3:GetObject")
			s.MatchResource("arn:aws:s3:::alice/x", &ctx)
			s.MatchConditions(&ctx)
		}
		for k := range syntax.KindRCP + 1 {
			Check(doc, k, catalogue)
		}
	})
}
