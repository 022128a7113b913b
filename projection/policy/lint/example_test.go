package lint_test

import (
	"fmt"

	"github.com/writ-iam/writ/projection/policy/catalogue"
	"github.com/writ-iam/writ/projection/policy/lint"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func ExampleCheck() {
	const text = `{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": ["iam:PassRole", "iam:GetUsr"], "Resource": "*"}
  ]
}`
	doc, err := syntax.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range lint.Check(doc, syntax.KindManaged, catalogue.Builtin()) {
		fmt.Printf("%d:%d %v %s\n", f.Line, f.Column, f.Severity, f.Code)
	}
	// Output:
	// 4:5 security-warning PASS_ROLE_WITH_STAR_IN_RESOURCE
	// 4:52 error INVALID_ACTION
}
