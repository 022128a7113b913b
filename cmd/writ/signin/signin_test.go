package signin

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/client"
)

func TestSecretsHaveALineEach(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	for _, c := range []struct {
		text         string
		code, change bool
		want         client.SignIn
		fails        bool
	}{
		{text: "a b", want: client.SignIn{Password: "a b"}},
		{text: "one\r\ntwo\n", want: client.SignIn{Password: "one"}},
		{text: "one\n123456\n", code: true, want: client.SignIn{Password: "one", MFACode: "123456"}},
		{text: "one\n123456\ntwo\n", code: true, change: true, want: client.SignIn{Password: "one", MFACode: "123456", NewPassword: "two"}},
		{text: "one\ntwo", change: true, want: client.SignIn{Password: "one", NewPassword: "two"}},
		{text: "one\n", change: true, fails: true},
		{text: "", fails: true},
		{text: strings.Repeat("x", 2*maxSecrets) + "\n", change: true, fails: true},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, "-"} {
			f := flags{passwordFile: path, code: c.code, change: c.change}
			err := f.ask(strings.NewReader(c.text))
			if c.fails {
				if err == nil || strings.Contains(err.Error(), "one") {
					t.Errorf("%.20q: %v", c.text, err)
				}
			} else if err != nil || !reflect.DeepEqual(f.with, c.want) {
				t.Errorf("%.20q of %s: %+v, %v", c.text, path, f.with, err)
			}
		}
	}
}

// A password that would go over a network as it is is warned of.
func TestPlainEndpoints(t *testing.T) {
	var b bytes.Buffer
	warn(&b, []string{"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://writ.example.com"})
	if b.Len() != 0 {
		t.Error(b.String())
	}
	warn(&b, []string{"http://writ.example.com:8420"})
	if !strings.Contains(b.String(), "use https") {
		t.Error(b.String())
	}
}
