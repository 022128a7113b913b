package wire

import (
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// TestLevel says which commands builds of the first release can read.
func TestLevel(t *testing.T) {
	for _, c := range []struct {
		command identity.Command
		want    uint32
	}{
		{&identity.CreateUser{}, 1},
		{&identity.AdmitReplica{}, 1},
		{&identity.TagEntity{Kind: identity.KindPolicy}, 1},
		{&identity.UntagEntity{Kind: identity.KindUser}, 1},
		{&identity.TagEntity{Kind: identity.KindOIDCProvider}, 2},
		{&identity.UntagEntity{Kind: identity.KindSAMLProvider}, 2},
		{&identity.CreateOIDCProvider{}, 2},
		{&identity.SetTokenVersion{}, 2},
		{&identity.SetRoleManager{}, 2},
		{&identity.SetAccountQuotas{}, 1},
		{&identity.SetQuotas{}, 2},
		{&identity.CreateAccount{}, 2},
		{&identity.CloseAccount{}, 2},
		{&identity.ChooseSealKey{}, 2},
		{&identity.ResealSecrets{}, 2},
		{&identity.RetireSealKeys{}, 2},
		{&identity.SetRetention{}, 2},
		{&identity.DropHistory{}, 2},
	} {
		if got := Level(c.command); got != c.want {
			t.Errorf("%T %+v is of level %d, not %d", c.command, c.command, got, c.want)
		}
	}
}
