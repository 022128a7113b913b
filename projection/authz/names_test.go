package authz

import "testing"

// An account is of the partition that its principal's ARN names, of any where none is known.
func TestAccountsOfPartitions(t *testing.T) {
	const account = "111111111111"
	for _, c := range []struct {
		arn, named string
		want       bool
	}{
		{"arn:aws-cn:iam::" + account + ":user/u", "arn:aws-cn:iam::" + account + ":root", true},
		{"arn:aws-cn:iam::" + account + ":user/u", "arn:aws:iam::" + account + ":root", false},
		{"arn:aws:iam::" + account + ":user/u", "arn:aws-cn:iam::" + account + ":root", false},
		{"arn:aws-cn:iam::" + account + ":user/u", account, true},
		{"", "arn:aws-cn:iam::" + account + ":root", true},
		{"", "arn:aws:iam::" + account + ":root", true},
	} {
		var n names
		n.addAWS(c.named)
		if got := n.entries[0].account(&Principal{Type: User, ARN: c.arn, Account: account}); got != c.want {
			t.Errorf("%s is the account of %q: %v", c.named, c.arn, got)
		}
	}
}
