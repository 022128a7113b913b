package catalogue_test

import (
	"slices"
	"testing"

	"github.com/writ-iam/writ/projection/policy/catalogue"
)

func TestActionNames(t *testing.T) {
	names := catalogue.BuiltinNames()
	for _, c := range []struct {
		action string
		known  bool
		like   string
	}{
		{"s3:GetObject", true, ""},
		{"S3:getobject", true, ""},
		{"s3:GetObjekt", false, "s3:GetObject"},
		{"S3:GteObject", false, "s3:GetObject"},
		{"s3:Get", false, ""},
		{"iam:CreatUser", false, "iam:CreateUser"},
		{"sts:AsumeRole", false, "sts:AssumeRole"},
		{"ec2:NobodyListsThese", true, ""},
		{"dyanmodb:GetItem", false, "dynamodb:GetItem"},
		{"orders:Ship", false, ""},
		{":", false, ""},
	} {
		known, like := names.Known(c.action)
		if known != c.known || like != c.like {
			t.Errorf("%s: %v, %q; not %v, %q", c.action, known, like, c.known, c.like)
		}
	}
	if n := testing.AllocsPerRun(100, func() { names.Known("s3:GetObject") }); n > 0 {
		t.Errorf("a known action costs %v allocations", n)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"alice", "bob", "carol", "deploy-production"}
	for word, want := range map[string]string{
		"alice": "alice", "ALICE": "alice", "alcie": "alice", "alic": "alice", "aalicee": "alice", "alice-1": "alice", "alice-12": "",
		"b0b": "bob", "rob1": "", "deploy-prodution": "deploy-production", "": "", "x": "",
	} {
		if got := catalogue.Nearest(word, slices.Values(names)); got != want {
			t.Errorf("%q is taken for %q, not %q", word, got, want)
		}
	}
}

// Of several names that are as near, the first in order is told, always.
func TestNearestOfSeveral(t *testing.T) {
	for range 50 {
		names := catalogue.BuiltinNames()
		if _, like := names.Known("exs:DescribeThings"); like != "ebs:DescribeThings" {
			t.Fatal(like)
		}
	}
}
