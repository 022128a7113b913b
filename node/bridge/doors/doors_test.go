package doors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	opened "github.com/writ-iam/writ/node/bridge/doors"
	"github.com/writ-iam/writ/test/doors"
)

// token is a bearer token of the tests.
const token = "0123456789abcdef0123456789abcdef"

// gatekeeper may ask about everybody; alice may read.
const (
	mayAsk  = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`
	mayRead = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}}`
)

// ask asks whether alice may read at a door, and returns the status, the decision or the fault's
// code, and the answer's header.
func ask(ctx context.Context, c *http.Client, url, bearer, principal string) (int, string, http.Header, error) {
	body := fmt.Sprintf(`{"principal":%q,"action":"s3:GetObject","resource":"arn:aws:s3:::b/o"}`, principal)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/authorize", strings.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer answer.Body.Close()
	var told struct {
		Decision string `json:"decision"`
		Code     string `json:"code"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		return answer.StatusCode, "", nil, err
	}
	return answer.StatusCode, told.Decision + told.Code, answer.Header, nil
}

// Callers are known by what the door's file names, and by nothing else; each asks as the principal
// that the file says, with that principal's permissions at the moment.
func TestDoors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bearer, socket := filepath.Join(dir, "token"), filepath.Join(dir, "s")
	if err := os.WriteFile(bearer, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := doors.Start(t, fmt.Sprintf(`
doors:
- listen: 127.0.0.1:0
  serve: {writ: ""}
  callers:
  - {bearer_file: %s, asks_as: "arn:aws:iam::123456789012:user/gatekeeper"}
- listen: unix:%s
  mode: 0660
  serve: {writ: ""}
  callers:
  - {uid: %d, asks_as: "arn:aws:iam::123456789012:user/gatekeeper"}
- listen: unix:%s-other
  serve: {writ: ""}
  callers:
  - {uid: 4000000001, asks_as: "arn:aws:iam::123456789012:user/gatekeeper"}
- listen: localhost:0
  serve: {writ: ""}
  callers:
  - {anybody: true, asks_as: "arn:aws:iam::123456789012:user/nobody"}
`, bearer, socket, os.Getuid(), socket))
	p.User("gatekeeper", mayAsk)
	p.User("alice", mayRead)
	p.Caught()
	alice := p.ARN("user/alice")
	port := "http://" + p.Door(0)
	for _, c := range []struct {
		name, url, bearer, who string
		client                 *http.Client
		status                 int
		want                   string
	}{
		{"a token", port, token, alice, http.DefaultClient, http.StatusOK, "allow"},
		{"a token, about nobody", port, token, p.ARN("user/none"), http.DefaultClient, http.StatusNotFound, "NoSuchPrincipal"},
		{"another token", port, token[1:] + "x", alice, http.DefaultClient, http.StatusForbidden, "AccessDenied"},
		{"no token", port, "", alice, http.DefaultClient, http.StatusForbidden, "AccessDenied"},
		{"a process's user", "http://socket", "", alice, doors.Socket(socket), http.StatusOK, "allow"},
		{"another user's socket", "http://socket", "", alice, doors.Socket(socket + "-other"), http.StatusForbidden, "AccessDenied"},
		{"as somebody who is not there", "http://" + p.Door(3), "", alice, http.DefaultClient, http.StatusForbidden, "AccessDenied"},
	} {
		status, got, header, err := ask(t.Context(), c.client, c.url, c.bearer, c.who)
		if err != nil || status != c.status || got != c.want {
			t.Errorf("%s: %d %s, %v; want %d %s", c.name, status, got, err, c.status, c.want)
		}
		if got == "allow" && (header.Get("X-Writ-Freshness") != "leased" || header.Get("X-Writ-Position") == "") {
			t.Errorf("%s: the headers are %v", c.name, header)
		}
	}
	if is, err := os.Stat(socket); err != nil || is.Mode().Perm() != 0o660 || is.Mode()&fs.ModeSocket == 0 {
		t.Errorf("the socket is %v, %v", is, err)
	}

	// The right to ask ends as any permission does.
	p.Policy("gatekeeper", strings.Replace(mayAsk, "Allow", "Deny", 1))
	p.Caught()
	if status, got, _, err := ask(t.Context(), http.DefaultClient, port, token, alice); status != http.StatusForbidden || got != "AccessDenied" {
		t.Errorf("without the permission: %d %s, %v", status, got, err)
	}

	// A writer that is gone takes the lease with it: what was allowed is not any more.
	p.Policy("gatekeeper", mayAsk)
	p.Caught()
	p.Stop(doors.Writer)
	p.Until("the replica answers nothing as current", func(ctx context.Context) error {
		status, got, _, err := ask(ctx, http.DefaultClient, port, token, alice)
		switch {
		case err != nil:
			return err
		case status == http.StatusServiceUnavailable:
			return nil
		}
		return fmt.Errorf("%d %s", status, got)
	})

	// Doors close with their node, and their files go.
	p.Stop(doors.Replica)
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(port, "http://")); err == nil {
		t.Error("the port is left open")
	}
}

// A socket that a process left is replaced; what is no socket, or is in use, is not.
func TestSocketInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string {
		return fmt.Sprintf("doors:\n- listen: unix:%s\n  serve: {writ: \"\"}\n  callers: [{anybody: true, asks_as: \"arn:aws:iam::123456789012:user/g\"}]\n", filepath.Join(dir, name))
	}
	open := func(name string) (*opened.Set, error) {
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, []byte(file(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := opened.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return s, opened.OpenAlone(t, s)
	}
	first, err := open("s")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open("s"); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a socket in use: %v", err)
	}
	first.Close(t.Context())
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "left"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	again, err := open("left")
	if err != nil {
		t.Errorf("a socket that was left: %v", err)
	}
	again.Close(t.Context())
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open("file"); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// A socket that was closed takes no other's file away when it is closed again, as servers do.
func TestSocketClosedTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := opened.Socket(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	next, err := opened.Socket(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	_ = l.Close() // it is closed already
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the next socket is gone: %v", err)
	}
}

// A file that leaves open who may ask, or what is served, opens nothing.
func TestWrongDoors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"short": "abc", "token": token} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const as = `asks_as: "arn:aws:iam::123456789012:user/g"`
	for text, want := range map[string]string{
		"": "0 doors",
		"doors: [{listen: 'x', serve: {writ: ''}, callers: [{anybody: true, " + as + "}]}]":                                                           "host:port",
		"doors: [{listen: '127.0.0.1:1', callers: [{anybody: true, " + as + "}]}]":                                                                    "names no protocol",
		"doors: [{listen: '127.0.0.1:1', serve: {nope: ''}, callers: [{anybody: true, " + as + "}]}]":                                                 "no protocol; there are",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: 'm'}, callers: [{anybody: true, " + as + "}]}]":                                                "no mapping",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: []}]":                                                                            "0 callers",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{" + as + "}]}]":                                                                "exactly one of",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{anybody: true, uid: 1, " + as + "}]}]":                                         "exactly one of",
		"doors: [{listen: '0.0.0.0:1', serve: {writ: ''}, callers: [{anybody: true, " + as + "}]}]":                                                   "loopback",
		"doors: [{listen: ':1', serve: {writ: ''}, callers: [{anybody: true, " + as + "}]}]":                                                          "loopback",
		"doors: [{listen: '0.0.0.0:1', serve: {writ: ''}, callers: [{bearer_file: token, " + as + "}]}]":                                              "plain HTTP",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{bearer_file: short, " + as + "}]}]":                                            "shorter than",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{bearer_file: none, " + as + "}]}]":                                             "no such file",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{uid: 0, " + as + "}]}]":                                                        "Unix socket",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{certificate: x, " + as + "}]}]":                                                "client_ca",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{anybody: true}]}]":                                                             "asks_as",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{anybody: true, asks_as: 'arn:aws:iam::123456789012:root'}]}]":                  "no door asks as a root",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{signed: true, " + as + "}]}]":                                                  "asks as itself",
		"doors: [{listen: '127.0.0.1:1', serve: {writ: ''}, callers: [{anybody: true, " + as + "}, {signed: true}]}]":                                 "put it last",
		"doors: [{listen: '127.0.0.1:1', mode: 0600, serve: {writ: ''}, callers: [{signed: true}]}]":                                                  "this door has none",
		"doors: [{listen: 'unix:s', tls: {cert: a, key: b}, serve: {writ: ''}, callers: [{signed: true}]}]":                                           "is of a port",
		"doors: [{listen: 'unix:s', serve: {writ: ''}, callers: [{signed: true}]}, {listen: 'unix:s', serve: {writ: ''}, callers: [{signed: true}]}]": "two doors",
		"doors: [{listen: '127.0.0.1:1', serves: {writ: ''}}]":                                                                                        "line 1",
		"doors: []\n---\ndoors: []": "more than one document",
	} {
		path := filepath.Join(dir, "doors.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := opened.Read(path); !errors.Is(err, bridge.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	path := filepath.Join(dir, "long.yaml")
	if err := os.WriteFile(path, make([]byte, bridge.MaxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Read(path); !errors.Is(err, bridge.ErrConfig) {
		t.Errorf("a long file: %v", err)
	}
}
