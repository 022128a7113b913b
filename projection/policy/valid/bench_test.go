package valid

import (
	"testing"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func BenchmarkParse(b *testing.B) {
	text := policyText(`"Sid":"One","Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"`,
		`"Sid":"Two","Effect":"Deny","NotAction":"s3:*","Resource":["arn:aws:s3:::a/*","arn:aws:s3:::b/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		doc, err := Parse(text, syntax.KindManaged)
		if err != nil {
			b.Fatal(err)
		}
		policy.Compile(doc)
	}
}
