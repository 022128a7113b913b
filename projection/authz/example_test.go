package authz_test

import (
	"fmt"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

func Example() {
	doc, err := syntax.Parse(`{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/${aws:username}/*"}}`)
	if err != nil {
		panic(err)
	}
	readers := authz.NewSet(authz.Policy{
		Name: "read-own", Source: authz.SourceGroup, Holder: "readers", Document: policy.Compile(doc),
	})
	alice := &authz.Principal{
		Type: authz.User, ARN: "arn:aws:iam::111111111111:user/alice", Account: "111111111111", Name: "alice",
	}
	prepared := authz.Prepare(authz.Layers{Identity: []*authz.Set{readers}})

	for _, key := range []string{"alice/may.csv", "bob/may.csv"} {
		request := authz.Request{Principal: alice, Action: "s3:GetObject", Resource: "arn:aws:s3:::reports/" + key}
		request.FillGlobals(&authz.Globals{})
		decision := prepared.Evaluate(&request)
		if decision.Allowed() {
			fmt.Println("allowed")
		} else {
			fmt.Println("denied", authz.Because(&request, decision))
		}
	}
	// Output:
	// allowed
	// denied because no identity-based policy allows the s3:GetObject action
}
