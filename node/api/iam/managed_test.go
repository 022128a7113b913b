package iam_test

import (
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
)

func TestManagedPolicies(t *testing.T) {
	if p := iam.ManagedPolicies(); len(p) < 5 || p[0].Account != identity.AWSAccount || len(p[0].ID) != 21 {
		t.Errorf("managed policies: %+v", p[0])
	}
}
