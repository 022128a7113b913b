package account

import (
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// Every quota has its flag, in the order in which they are shown.
func TestQuotasAreThoseThereAre(t *testing.T) {
	if len(quotas) != int(identity.NumQuotas) {
		t.Fatalf("%d flags for %d quotas", len(quotas), identity.NumQuotas)
	}
	for i, q := range quotas {
		if q.name != identity.Quota(i).String() {
			t.Errorf("flag %d is %s, not %s", i, q.name, identity.Quota(i))
		}
	}
}
