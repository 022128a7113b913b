package authz_test

import (
	"strings"
	"testing"

	"github.com/writ-iam/writ/projection/authz"
)

func TestCheckQuestion(t *testing.T) {
	long := strings.Repeat("x", authz.MaxARN)
	for name, c := range map[string]struct {
		check      func(string) error
		good       []string
		bad        []string
		sayingWhat string
	}{
		"action": {authz.CheckAction, []string{"s3:GetObject", "S3:getobject", "access-analyzer:X", "orders:ship/all", "s3:" + strings.Repeat("x", 125)},
			[]string{"", "*", "s3:*", "s3:Get?bject", "*:GetObject", "GetObject", "s3", "s3:", ":GetObject", "s3:a:b", "s3:Get Object", " s3:GetObject", "s3:GetObject\n",
				"s 3:x", "s3:Gét", "s3:" + strings.Repeat("x", 126)}, "action"},
		"resource": {authz.CheckResource, []string{"*", "arn:aws:s3:::bucket/key", "arn:aws:s3:::bucket/my file*.txt", "arn:aws-cn:iam::123456789012:user/a", "arn:aws:iam::aws:policy/P",
			"arn:aws:logs:eu-west-1:123456789012:log-group:x:*"},
			[]string{"", "**", "bucket/key", "arn:aws:s3", "arn:aws:s3:::", "arn::s3:::b", "arn:aws::::b", "ARN:aws:s3:::b", "arn:*:s3:::b", "arn:aws:s3:*:*:b", "arn:aws:s3:::b\n", "arn:aws:s3::: b", "arn:aws:s 3:::b",
				"arn:aws:s3:::" + long}, "resource"},
		"key": {authz.CheckContextKey, []string{"aws:SourceIp", "aws:PrincipalTag/a b", "x"},
			[]string{"", " aws:SourceIp", "aws:SourceIp ", "aws:\x00", strings.Repeat("k", 257)}, "condition key"},
		"principal": {authz.CheckPrincipal, []string{"arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/a/b/alice@example.com", "arn:aws:iam::123456789012:role/app",
			"arn:aws:iam::123456789012:root", "arn:aws:sts::123456789012:assumed-role/app/session-1"},
			[]string{"", "alice", "*", "123456789012", "AIDAEXAMPLE", "arn:aws:iam::123456789012:user/", "arn:aws:iam::123456789012:user/*", "arn:aws:iam::123456789012:user/al ice", "arn:aws:iam::123456789012:users/alice",
				"arn:aws:iam::123456789012:group/admins", "arn:aws:iam::12345:user/alice", "arn:aws:iam:::user/alice", "arn:aws-xx:iam::123456789012:user/alice", "arn:*:iam::123456789012:user/alice", "xrn:aws:iam::123456789012:user/alice",
				"arn:aws:iam:eu:123456789012:user/alice", "arn:aws:sts::123456789012:assumed-role/app", "arn:aws:sts::123456789012:assumed-role/app/", "arn:aws:sts::123456789012:assumed-role/app/s",
				"arn:aws:sts::123456789012:assumed-role/app/a/b", "arn:aws:sts::123456789012:federated-user/bob", "arn:aws:s3:::user/alice", "ec2.amazonaws.com", "arn:aws:iam::123456789012:user/" + long}, "principal"},
	} {
		for _, text := range c.good {
			if err := c.check(text); err != nil {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
		for _, text := range c.bad {
			if err := c.check(text); err == nil || !strings.Contains(err.Error(), c.sayingWhat) {
				t.Errorf("%s %q: %v", name, text, err)
			}
		}
	}
}
