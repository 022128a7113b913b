package denial

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

func TestLimit(t *testing.T) {
	r := &authz.Request{Principal: &authz.Principal{ARN: "arn:aws:iam::123456789012:user/a"}, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k",
		Context: []policy.Entry{policy.Single("s3:prefix", "x"), policy.Multi("aws:tagkeys", []string{"a", "b"})}}
	g := &authz.Globals{Time: time.Unix(0, 0), UserAgent: strings.Repeat("x", 1000)}
	long := Encode("123456789012", "AIDA", r, g, &authz.Explanation{}, 5000)
	if !json.Valid(long) || !strings.Contains(string(long), `{"key":"aws:tagkeys","values":{"items":[{"value":"a"},{"value":"b"}]}}`) || AccountOf(long) != "123456789012" {
		t.Errorf("%s", long)
	}
	short := Encode("123456789012", "AIDA", r, g, &authz.Explanation{}, 500)
	if !json.Valid(short) || len(short) > 500 || !strings.Contains(string(short), `"action":"s3:GetObject"`) {
		t.Errorf("%s", short)
	}
	if none := Encode("123456789012", "AIDA", r, g, &authz.Explanation{}, 100); none != nil {
		t.Errorf("%s", none)
	}
	if AccountOf([]byte("x")) != "" || AccountOf([]byte(`{}`)) != "" {
		t.Error("what is no message is of an account")
	}
}
