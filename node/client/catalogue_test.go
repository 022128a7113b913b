package client_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
)

// What is in force already is imported again while policies are kept: they go once nobody
// uses them any more.
func TestImportAgainDropsWhatIsKept(t *testing.T) {
	policies := []identity.CataloguePolicy{{ID: "ANPA00000000000000001", Name: "P", Path: "/", Created: 1, Updated: 1, Default: 1,
		Versions: []identity.PolicyVersion{{Number: 1, Document: "{}", Created: 1}}}}
	for kept, want := range map[int][]string{0: {"GET"}, 2: {"GET", "POST parts/0", "POST install"}} {
		var asked []string
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				asked = append(asked, "GET")
				return says(200, fmt.Sprintf(`{"number":2,"digest":%q,"policies":1,"kept":%d}`, identity.CatalogueDigest(policies), kept))
			}
			_, what, _ := strings.Cut(r.URL.Path, identity.CatalogueDigest(policies)+"/")
			asked = append(asked, r.Method+" "+what)
			return says(200, `{"removed":["Old"],"kept":["InUse"]}`)
		})
		change, err := c.ImportCatalogue(t.Context(), policies)
		if err != nil || !slices.Equal(asked, want) {
			t.Errorf("%d kept: asked %q, %v", kept, asked, err)
		}
		if done := change != nil && slices.Equal(change.Removed, []string{"Old"}) && slices.Equal(change.Kept, []string{"InUse"}); done != (kept > 0) {
			t.Errorf("%d kept: %+v", kept, change)
		}
	}
}
