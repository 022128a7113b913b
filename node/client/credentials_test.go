package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// granting is a node that gives credentials for web identities.
type granting struct {
	t      *testing.T
	tokens []string // that came, in their order
	keys   []string // by whose others were signed
	refuse string   // with this code, if any
}

func (g *granting) RoundTrip(r *http.Request) (*http.Response, error) {
	if by := r.Header.Get("Authorization"); by != "" {
		_, rest, _ := strings.Cut(by, "Credential=")
		key, _, _ := strings.Cut(rest, "/")
		g.keys = append(g.keys, key+" "+r.Header.Get("X-Amz-Security-Token"))
		return says(200, `{"decision":"allow","state":"everywhere","leader":"w1","position":7}`)
	}
	body := make([]byte, r.ContentLength)
	if _, err := r.Body.Read(body); err != nil && r.ContentLength == 0 {
		g.t.Error(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "AssumeRoleWithWebIdentity" || form.Get("RoleArn") != "arn:aws:iam::123456789012:role/deploy" || form.Get("RoleSessionName") != "job" {
		g.t.Errorf("asked for %v, %v", form, err)
	}
	g.tokens = append(g.tokens, form.Get("WebIdentityToken"))
	if g.refuse != "" {
		return says(400, `<ErrorResponse><Error><Code>`+g.refuse+`</Code><Message>No.</Message></Error></ErrorResponse>`)
	}
	n := len(g.tokens)
	return says(200, fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId>`+
		`<SecretAccessKey>s</SecretAccessKey><SessionToken>session-%d</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
		n, n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
}

// identified is a client that has a token in a file.
func identified(t *testing.T, g *granting) (c *client.Client, file string) {
	t.Helper()
	g.t, file = t, filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: "http://writ.test", HTTP: &http.Client{Transport: g},
		WebIdentity: &client.WebIdentity{TokenFile: file, RoleARN: "arn:aws:iam::123456789012:role/deploy", SessionName: "job"}})
	if err != nil {
		t.Fatal(err)
	}
	return c, file
}

// TestWebIdentity fetches credentials when they are needed, and anew before they end, for the
// token that the file has then.
func TestWebIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &granting{}
		c, file := identified(t, g)
		ask := func() {
			t.Helper()
			if _, err := c.Cluster(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		ask()
		if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour - client.RefreshBefore - time.Second)
		ask()
		time.Sleep(2 * time.Second)
		ask()
		if got := fmt.Sprint(g.tokens, g.keys); got != "[one two] [ASIA1 session-1 ASIA1 session-1 ASIA1 session-1 ASIA2 session-2]" {
			t.Errorf("got %s", got)
		}
	})
}

// TestWebIdentityFails goes on with credentials that have not ended, and says why there are none.
func TestWebIdentityFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &granting{refuse: "AccessDenied"}
		c, file := identified(t, g)
		var refused *client.QueryError
		for range 3 {
			if _, err := c.Cluster(t.Context()); !errors.As(err, &refused) || refused.Code != "AccessDenied" || !strings.Contains(err.Error(), file) {
				t.Fatalf("refused: %v", err)
			}
		}
		if len(g.tokens) != 1 {
			t.Errorf("asked %d times", len(g.tokens))
		}
		g.refuse = ""
		time.Sleep(10 * time.Second)
		if _, err := c.Cluster(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.refuse = "ExpiredTokenException"
		time.Sleep(time.Hour - client.RefreshBefore + time.Second)
		if _, err := c.Cluster(t.Context()); err != nil {
			t.Errorf("before their end: %v", err)
		}
		time.Sleep(client.RefreshBefore)
		if _, err := c.Cluster(t.Context()); !errors.As(err, &refused) || refused.Code != "ExpiredTokenException" {
			t.Errorf("after their end: %v", err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := c.Cluster(t.Context()); err == nil || !strings.Contains(err.Error(), "no web identity token") {
			t.Errorf("without a token: %v", err)
		}
	})
}

// TestIDPCommunicationErrorIsTriedAgain as SDKs do.
func TestIDPCommunicationErrorIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &granting{refuse: "IDPCommunicationError"}
		c, _ := identified(t, g)
		if _, err := c.Cluster(t.Context()); err == nil || len(g.tokens) != client.Attempts {
			t.Errorf("asked %d times, %v", len(g.tokens), err)
		}
	})
}

func TestSessionToken(t *testing.T) {
	g := &granting{t: t}
	c, err := client.New(client.Config{Endpoint: "http://writ.test", HTTP: &http.Client{Transport: g}, AccessKeyID: "ASIAOWN", SecretAccessKey: "s", SessionToken: "t",
		WebIdentity: &client.WebIdentity{TokenFile: "none", RoleARN: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Cluster(t.Context()); err != nil || fmt.Sprint(g.keys) != "[ASIAOWN t]" {
		t.Errorf("signed by %v, %v", g.keys, err)
	}
	if _, err := client.New(client.Config{Endpoint: "http://h", WebIdentity: &client.WebIdentity{TokenFile: "x"}}); !errors.Is(err, client.ErrConfig) {
		t.Errorf("without a role: %v", err)
	}
}
