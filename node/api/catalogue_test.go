package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
)

// awsPolicy is a policy of AWS with one text that allows an action.
func awsPolicy(id, name, action string) identity.CataloguePolicy {
	return identity.CataloguePolicy{ID: identity.ID("ANPA" + id + strings.Repeat("A", 16)), Name: name, Path: "/", Created: 1, Updated: 2, Default: 3,
		Versions: []identity.PolicyVersion{{Number: 3, Document: allow(action), Created: 2}}}
}

// partOf is the body of a part.
func partOf(policies ...identity.CataloguePolicy) string {
	var part shape.CataloguePart
	for i := range policies {
		part.Policies = append(part.Policies, shape.CataloguePolicyOf(&policies[i]))
	}
	body, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// parts sends a catalogue of which each policy is a part, and returns its path.
func (w *world) parts(policies ...identity.CataloguePolicy) (path string) {
	w.t.Helper()
	path = "/v1/catalog/" + identity.CatalogueDigest(policies)
	for i, p := range policies {
		w.accepted("part", w.native(w.root, "POST", fmt.Sprintf("%s/parts/%d", path, i), partOf(p)))
	}
	return path
}

func TestCatalogue(t *testing.T) {
	w := newWorld(t)
	if m := w.json(w.native(w.root, "GET", "/v1/catalog", "")); m["number"] != float64(0) || m["digest"] != "" {
		t.Errorf("at the beginning %v", m)
	}
	a, b := awsPolicy("A", "A", "s3:Get*"), awsPolicy("B", "b", "s3:Put*")
	path := w.parts(a, b)
	if m := w.json(w.native(w.root, "GET", "/v1/catalog", "")); m["number"] != float64(0) || m["staged_parts"] != float64(2) {
		t.Errorf("on its way %v", m)
	}
	if _, ok := w.projection.View().State.Policy("arn:aws:iam::aws:policy/A"); ok {
		t.Error("a policy is seen before the catalogue is in force")
	}
	m := w.json(w.accepted("install", w.native(w.root, "POST", path+"/install?parts=2", "")))
	if m["position"] != float64(w.log.position()) || len(m["removed"].([]any)) != 0 {
		t.Errorf("installed %v", m)
	}
	if m := w.json(w.native(w.root, "GET", "/v1/catalog", "")); m["number"] != float64(1) || "/v1/catalog/"+m["digest"].(string) != path || m["policies"] != float64(2) {
		t.Errorf("in force %v", m)
	}

	// Who has a policy keeps it; what nobody has goes.
	alice := w.user("alice", "")
	w.must(&identity.AttachPolicy{Owner: identity.Owner{Kind: identity.KindUser, Account: account, Name: "alice"}, Policy: "arn:aws:iam::aws:policy/A"})
	path = w.parts(awsPolicy("C", "C", "s3:List*"))
	m = w.json(w.accepted("install", w.native(w.root, "POST", path+"/install?parts=1", "")))
	if !slices.Equal(m["removed"].([]any), []any{"b"}) || !slices.Equal(m["kept"].([]any), []any{"A"}) {
		t.Errorf("replaced %v", m)
	}
	w.problem("of nobody's right", w.native(alice, "POST", path+"/install?parts=1", ""), 403, "AccessDenied")
	w.problem("to look", w.native(alice, "GET", "/v1/catalog", ""), 403, "AccessDenied")
}

func TestCatalogueRefusals(t *testing.T) {
	w := newWorld(t)
	a, b := awsPolicy("A", "A", "s3:Get*"), awsPolicy("B", "b", "s3:Put*")
	path := "/v1/catalog/" + identity.CatalogueDigest([]identity.CataloguePolicy{a, b})
	w.accepted("part 0", w.native(w.root, "POST", path+"/parts/0", partOf(a)))
	w.problem("a part is missing", w.native(w.root, "POST", path+"/parts/2", partOf(b)), 409, "ConcurrentModification")
	w.problem("not all of it", w.native(w.root, "POST", path+"/install?parts=2", ""), 409, "ConcurrentModification")
	w.problem("something else", w.native(w.root, "POST", path+"/install?parts=1", ""), 400, "InvalidInput")
	for name, body := range map[string]string{
		"no JSON":              "x",
		"nothing":              `{"policies":[]}`,
		"another member":       `{"policies":[],"x":1}`,
		"two values":           partOf(b) + partOf(b),
		"a bad name":           partOf(awsPolicy("B", "b b", "s3:*")),
		"a bad identifier":     partOf(awsPolicy("b", "b", "s3:*")),
		"no policy's document": strings.ReplaceAll(partOf(b), "Statement", "Sentence"),
	} {
		w.problem(name, w.native(w.root, "POST", path+"/parts/1", body), 400, "InvalidRequest")
	}
	w.problem("no digest", w.native(w.root, "POST", "/v1/catalog/x/parts/0", partOf(b)), 400, "InvalidRequest")
	w.problem("no number", w.native(w.root, "POST", path+"/parts/-1", partOf(b)), 400, "InvalidRequest")
	w.problem("no number of parts", w.native(w.root, "POST", path+"/install", ""), 400, "InvalidRequest")
	user := w.user("bob", allow("writ:GetCatalog"))
	w.problem("not allowed", w.native(user, "POST", path+"/parts/1", partOf(b)), 403, "AccessDenied")
	other := w.native(user, "GET", "/v1/catalog", "")
	w.accepted("allowed to look", other)
}
