package policy_test

import (
	"fmt"

	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
	"github.com/writ-iam/writ/projection/policy/valid"
)

func Example() {
	const text = `{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Action": "s3:Get*",
    "Resource": "arn:aws:s3:::home/${aws:username}/*",
    "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
  }
}`
	doc, err := valid.Parse(text, syntax.KindManaged)
	if err != nil {
		fmt.Println(err)
		return
	}
	statement := &policy.Compile(doc).Statements[0]

	var ctx policy.Context
	ctx.Add([]policy.Entry{
		policy.Single("aws:username", "alice"),
		policy.Single("aws:sourceip", "10.1.2.3"),
	})
	fmt.Println(statement.MatchAction("s3:GetObject"))
	fmt.Println(statement.MatchResource("arn:aws:s3:::home/alice/notes.txt", &ctx))
	fmt.Println(statement.MatchResource("arn:aws:s3:::home/bob/notes.txt", &ctx))
	fmt.Println(statement.MatchConditions(&ctx))
	// Output:
	// true
	// true
	// false
	// true
}
