package cases

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/writ-iam/writ/projection/authz"
)

var (
	flagCases   = flag.Int("cases", 20_000, "random cases to compare with the reference evaluator")
	flagSeed    = flag.Uint64("seed", 1, "seed of the random cases")
	flagWorkers = flag.Int("workers", 1, "goroutines that compare")
)

// requestsPerWorld is how many requests are asked of the same policies, since
// making policies costs more than asking.
const requestsPerWorld = 25

// TestDifferential compares the engine with the reference evaluator on random
// cases: the decision, and that Decide and Explain agree.
func TestDifferential(t *testing.T) {
	var outcomes [3]atomic.Int64
	var wg sync.WaitGroup
	for w := range *flagWorkers {
		wg.Go(func() {
			g := &generator{Rand: rand.New(rand.NewPCG(*flagSeed, uint64(w)))}
			for n := 0; n < *flagCases / *flagWorkers && !t.Failed(); n += requestsPerWorld {
				compareWorld(t, g, &outcomes)
			}
		})
	}
	wg.Wait()
	t.Logf("implicit deny %d, explicit deny %d, allow %d",
		outcomes[authz.ImplicitDeny].Load(), outcomes[authz.ExplicitDeny].Load(), outcomes[authz.Allow].Load())
}

func compareWorld(t *testing.T, g *generator, outcomes *[3]atomic.Int64) {
	c := g.genCase()
	prepared, target := realWorld(t, g, &c)
	for range requestsPerWorld {
		want := refDecide(&c)
		request := realRequest(t, &c)
		request.Target = target
		x := prepared.Explain(request)
		d := prepared.Evaluate(request)
		outcomes[d.Outcome].Add(1)
		if d.Outcome.String() != want || d != x.Decision() {
			line, err := json.Marshal(c)
			t.Errorf("reference %s, Decide %v by %v, Explain %v by %v (%v)\n%s", want, d.Outcome, d.By, x.Outcome, x.By, err, line)
			return
		}
		// The next request is near: the same policies, something else changed.
		switch g.IntN(4) {
		case 0:
			g.genRequest(&c)
		case 1:
			g.genContext(&c)
		case 2:
			r := c.Request
			g.genRequest(&c)
			r.Type, r.ARN, r.Issuer, r.Service, r.Account = c.Request.Type, c.Request.ARN, c.Request.Issuer, c.Request.Service, c.Request.Account
			c.Request = r
		case 3:
			r := c.Request
			g.genRequest(&c)
			r.Action, r.Resource, r.ResourceAccount = c.Request.Action, c.Request.Resource, c.Request.ResourceAccount
			c.Request = r
		}
	}
}

// realWorld compiles the policies of a case. Identity policies are spread over
// sets, as over a user and its groups.
func realWorld(t *testing.T, g *generator, c *refCase) (*authz.Prepared, *authz.Target) {
	line, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := Decode(line)
	if err != nil {
		t.Fatal(err)
	}
	decoded.Expected.Decision = authz.Allow.String()
	layers, request, err := decoded.read()
	if err != nil {
		t.Fatal(err)
	}
	if len(layers.Identity) == 1 && g.chance(50) {
		policies, b := decoded.IdentityPolicies, caseBuilder{}
		n := g.IntN(len(policies) + 1)
		layers.Identity = []*authz.Set{
			b.set("identity_policies", policies[:n], authz.NewSet), b.set("identity_policies", policies[n:], authz.NewSet),
		}
	}
	return authz.Prepare(layers), request.Target
}

func realRequest(t *testing.T, c *refCase) *authz.Request {
	r := Request{
		PrincipalType: c.Request.Type, PrincipalARN: c.Request.ARN, PrincipalIssuer: c.Request.Issuer,
		PrincipalService: c.Request.Service, Account: c.Request.Account, Action: c.Request.Action,
		Resource: c.Request.Resource, ResourceAccount: c.Request.ResourceAccount,
		Context: c.Request.Context, MultivaluedKeys: c.Request.Multivalued,
	}
	p, err := r.principal()
	if err != nil {
		t.Fatal(err)
	}
	return &authz.Request{
		Principal: p, Action: r.Action, Resource: r.Resource, ResourceAccount: r.ResourceAccount, Context: r.entries(),
	}
}
