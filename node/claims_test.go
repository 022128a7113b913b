package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/sigv4"
)

// A replica that has nothing of the cluster but its certificate decides and hands on,
// with the leader's word on each signature; without the leader it answers nobody.
func TestReplicaWithoutKeys(t *testing.T) {
	m := newTeam(t, 1, 1)
	m.start("writer-1")
	m.ready("writer-1")
	cfg := m.config("replica-1")
	own := setup.DefaultFiles(filepath.Join(t.TempDir(), "own"), "replica-1")
	if err := os.MkdirAll(filepath.Dir(own.Cert), setup.DirMode); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{cfg.Files.CA: own.CA, cfg.Files.Cert: own.Cert, cfg.Files.Key: own.Key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, setup.SecretMode); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Files = own
	if n, err := m.try(cfg); err == nil {
		n.Stop()
		t.Fatal("it starts without keys although nobody said that it should")
	}
	cfg.Files.SealKey = setup.NoSealKey
	n, err := m.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.add("replica-1", n)
	m.ready("replica-1")
	m.becomes("replica-1", "leased")
	if _, text, err := m.readyz(t.Context(), "replica-1"); err != nil || !strings.Contains(text, "the leader verifies signatures") {
		t.Errorf("%s %v", text, err)
	}
	m.must("replica-1", "CreateUser", "UserName", "alice")
	m.must("replica-1", "GetUser", "UserName", "alice")
	root := client.Question{Principal: "arn:aws:iam::" + setup.DefaultAccount + ":root", Action: "s3:Get"}
	if d, err := m.client("replica-1").Authorize(t.Context(), root, client.Freshness{Consistency: "leased"}); err != nil || !d.Allowed() || d.Node != "replica-1" {
		t.Errorf("decision %+v, %v", d, err)
	}
	// What services received is verified by the leader's word, too, and signing keys are the leader's.
	received := func() *client.Received {
		r := httptest.NewRequest(http.MethodGet, "http://orders.test/1", nil)
		(&sigv4.Signer{AccessKeyID: m.root.AccessKeyID, SecretAccessKey: m.root.SecretAccessKey, Region: "eu-west-1", Service: "orders"}).Sign(r, sha256.Sum256(nil), time.Now())
		return &client.Received{Service: "orders", Method: r.Method, Path: "/1", PayloadHash: fmt.Sprintf("%x", sha256.Sum256(nil)),
			Headers: shape.Headers{"Host": {r.Host}, "Authorization": r.Header["Authorization"], "X-Amz-Date": r.Header["X-Amz-Date"]}}
	}
	if a, err := m.client("replica-1").Authenticate(t.Context(), received(), client.Freshness{}); err != nil || a.Principal == nil || a.Principal.ARN != root.Principal || a.Node != "replica-1" || a.Freshness != "leased" {
		t.Errorf("received: %+v, %v", a, err)
	}
	scope := sigv4.Scope{Date: time.Now().UTC().Format("20060102"), Region: "eu-west-1", Service: "orders"}
	want := sigv4.DeriveKey([]byte(m.root.SecretAccessKey), scope)
	if k, err := m.client("replica-1").SigningKey(t.Context(), client.SigningKeyOf{AccessKeyID: m.root.AccessKeyID, Date: scope.Date, Region: scope.Region, Service: scope.Service}, client.Freshness{}); err != nil ||
		k.Key != hex.EncodeToString(want[:]) || k.Node != "writer-1" {
		t.Errorf("signing key: %v, %v", k, err)
	}
	right := m.root
	m.root.SecretAccessKey = strings.Repeat("x", len(right.SecretAccessKey))
	if status, _, body := m.iam("replica-1", "GetUser", "UserName", "alice"); status != http.StatusForbidden || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("another secret: %d %s", status, body)
	}
	m.root = right

	m.stop("writer-1")
	m.until("it answers nobody", func(context.Context) error {
		if status, _, body := m.iam("replica-1", "ListUsers"); status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	m.root.SecretAccessKey = strings.Repeat("x", len(right.SecretAccessKey))
	if status, _, body := m.iam("replica-1", "ListUsers"); status != http.StatusServiceUnavailable {
		t.Errorf("another secret: %d %s", status, body)
	}
	m.root = right
}
