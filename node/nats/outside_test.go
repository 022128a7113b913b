package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/test/layout"
)

func TestOutside(t *testing.T) {
	dir, _, _ := layout.Init(t, layout.Cluster(t, 1, 0))
	files := setup.DefaultFiles(dir, "writer-1")
	put := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password, empty := put("password", "secret\n"), put("empty", "\n")
	creds := put("creds", "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n-----BEGIN USER NKEY SEED-----\nx\n------END USER NKEY SEED------\n")
	for name, x := range map[string]struct {
		urls string
		o    Outside
		want string
	}{
		"nothing":                   {"", Outside{}, ""},
		"none":                      {setup.NoNATS, Outside{}, ""},
		"plain":                     {"nats://h:1", Outside{}, ""},
		"several":                   {"tls://h:1, tls://i:2", Outside{}, ""},
		"the system's roots":        {"tls://h:1", Outside{User: "u", PasswordFile: password}, ""},
		"a CA":                      {"nats://h:1", Outside{CA: files.CA, User: "u", PasswordFile: password}, ""},
		"a certificate":             {"nats://h:1", Outside{Cert: files.Cert, Key: files.Key}, ""},
		"credentials":               {"tls://h:1", Outside{Credentials: creds}, ""},
		"on loopback":               {"nats://127.0.0.1:1,nats://[::1]:1,nats://localhost:1", Outside{User: "u", PasswordFile: password}, ""},
		"plain on purpose":          {"nats://h:1", Outside{User: "u", PasswordFile: password, Insecure: true}, ""},
		"a password in plain":       {"nats://127.0.0.1:1,nats://h:1", Outside{User: "u", PasswordFile: password}, "in plain text"},
		"credentials in plain":      {"nats://h:1", Outside{Credentials: creds}, "in plain text"},
		"a name like loopback":      {"nats://localhost.example:1", Outside{User: "u", PasswordFile: password}, "in plain text"},
		"settings for nothing":      {"", Outside{CA: files.CA}, "names none"},
		"settings for none":         {setup.NoNATS, Outside{Insecure: true}, "names none"},
		"a secret in a URL":         {"tls://u:secret@h:1", Outside{}, "carries a user"},
		"a token in a URL":          {"tls://secret@h:1", Outside{}, "carries a user"},
		"another scheme":            {"http://h:1", Outside{}, "is not nats://"},
		"no scheme":                 {"h:1", Outside{}, "is not nats://"},
		"an empty one":              {"tls://h:1,", Outside{}, "is not nats://"},
		"too many":                  {strings.Repeat("tls://h:1,", 16) + "tls://h:1", Outside{}, "at most 16"},
		"a key alone":               {"tls://h:1", Outside{Key: files.Key}, "needs its key"},
		"a certificate alone":       {"tls://h:1", Outside{Cert: files.Cert}, "needs its key"},
		"another's key":             {"tls://h:1", Outside{Cert: files.Cert, Key: filepath.Join(dir, "ca.key")}, "read the certificate for NATS"},
		"a user alone":              {"tls://h:1", Outside{User: "u"}, "needs a password"},
		"a password alone":          {"tls://h:1", Outside{PasswordFile: password}, "needs a password"},
		"no password":               {"tls://h:1", Outside{User: "u", PasswordFile: empty}, "is empty"},
		"no password file":          {"tls://h:1", Outside{User: "u", PasswordFile: "/nowhere"}, "read the password"},
		"both":                      {"tls://h:1", Outside{User: "u", PasswordFile: password, Credentials: creds}, "use one of"},
		"credentials that are none": {"tls://h:1", Outside{Credentials: password}, "no credentials file"},
		"credentials that are away": {"tls://h:1", Outside{Credentials: "/nowhere"}, "read the credentials"},
		"a CA that is none":         {"tls://h:1", Outside{CA: password}, "no certificate in"},
		"a CA that is not there":    {"tls://h:1", Outside{CA: "/nowhere"}, "to trust for NATS"},
	} {
		urls, err := setup.NATSURLs(x.urls)
		var cfg replication.LinkConfig
		if err == nil {
			cfg, err = x.o.Link(urls)
		}
		if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, setup.ErrConfig) || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the secret is in the error: %v", name, err)
		}
		if secure := x.o.CA != "" || x.o.Cert != "" || strings.Contains(x.urls, "tls://"); err == nil && (cfg.TLS != nil) != secure {
			t.Errorf("%s: TLS %v", name, cfg.TLS)
		}
		if err == nil && x.o.User != "" && cfg.Password != "secret" {
			t.Errorf("%s: password %q", name, cfg.Password)
		}
	}
}
