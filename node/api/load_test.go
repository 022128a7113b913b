package api_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/sigv4"
)

// metric reads one line of a node's metrics; 0 when it is not there.
func (n *node) metric(series string) float64 {
	n.world.t.Helper()
	for line := range strings.Lines(n.serve(httptest.NewRequest("GET", "/metrics", nil)).Body.String()) {
		if text, ok := strings.CutPrefix(line, series+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				n.world.t.Fatal(err)
			}
			return value
		}
	}
	return 0
}

// series is how many lines of a node's metrics begin so.
func (n *node) series(prefix string) (count int) {
	for line := range strings.Lines(n.serve(httptest.NewRequest("GET", "/metrics", nil)).Body.String()) {
		if strings.HasPrefix(line, prefix) {
			count++
		}
	}
	return count
}

// Whoever knows an access key's id, but not its secret, leaves nothing behind.
func TestFailedSignaturesAreNotRemembered(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice", allow("*"))
	ask := func(c credential, region string) *httptest.ResponseRecorder {
		r, body := form(stsVersion, "GetCallerIdentity")
		s := sigv4.Signer{AccessKeyID: c.id, SecretAccessKey: c.secret, Region: region, Service: "sts"}
		s.Sign(r, sha256.Sum256(body), w.now())
		return w.serve(r)
	}
	for i := range 1000 {
		w.refused("no secret", ask(credential{alice.id, "a guess"}, fmt.Sprint("region-", i)), http.StatusForbidden, "SignatureDoesNotMatch", badSignature)
	}
	for range 100 {
		w.refused("a long region", ask(credential{alice.id, "a guess"}, strings.Repeat("r", 60<<10)), http.StatusForbidden, "SignatureDoesNotMatch", "")
	}
	if n, size := w.metric("writ_signing_keys"), w.metric("writ_signing_keys_bytes"); n != 0 || size != 0 {
		t.Errorf("%v keys are held in %v bytes", n, size)
	}
	for i := range 100 {
		w.accepted("her own", ask(alice, fmt.Sprint("region-", i)))
	}
	if n, size := w.metric("writ_signing_keys"), w.metric("writ_signing_keys_bytes"); n == 0 || n > 8 || size > 8<<10 {
		t.Errorf("%v keys are held in %v bytes", n, size)
	}
}

// Nobody makes series of metrics without a signature.
func TestStrangersMakeNoSeries(t *testing.T) {
	w := newWorld(t)
	before := w.series("writ_request_duration_seconds_count")
	for _, action := range []string{"CreateUser", "GetUser", "ListUsers", "DeleteRole", "GetRole", "Made-up"} {
		for _, c := range []credential{{"AKIANOBODYNOBODY0000", "x"}, {w.root.id, "a guess"}} {
			w.iam(c, action, "UserName", "x")
		}
		r, _ := form(iamVersion, action)
		w.serve(r)
	}
	w.native(credential{w.root.id, "a guess"}, "GET", "/v1/cluster", "")
	w.native(credential{w.root.id, "a guess"}, "POST", "/v1/verify", "")
	if n := w.series("writ_request_duration_seconds_count") - before; n != 1 {
		t.Errorf("%d series came of it", n)
	}
	if n := w.metric(`writ_request_duration_seconds_count{action="unverified",code="403"}`); n != 20 {
		t.Errorf("%v requests are counted", n)
	}
}
