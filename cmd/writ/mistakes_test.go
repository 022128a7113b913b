package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// asked are the commands of README.md that ask a cluster, as README.md has them, each with
// command lines of it.
var asked = map[string][]string{
	`wait --token T \| --request-id ID \| --arn ARN \| --head`: {"wait --head --timeout 1s"},
	`can --as ARN --action A --resource R`:                     {"can --as arn:aws:iam::123456789012:root --action s3:GetObject"},
	`can --wait --expect allow\|deny --for all ...`:            {"can --wait --expect allow --for all --as arn:aws:iam::123456789012:root --action s3:GetObject --timeout 1s"},
	`status`:                          {"status"},
	`health`:                          {"health"},
	`why`:                             {"why"},
	`upgrade check`:                   {"upgrade check"},
	`watch --after TOKEN \| POSITION`: {"watch --after 1"},
	`replica list \| drain \| resume \| remove \| admit NAME`:    {"replica list", "replica drain r1", "replica remove r1"},
	`catalog show \| import [FILE]`:                              {"catalog show"},
	`account create \| list \| alias \| root \| close \| quotas`: {"account list", "account create --email a@example.com"},
	`revoke`:        {"revoke --role arn:aws:iam::123456789012:role/r"},
	`sessions list`: {"sessions list"},
	`session-key`:   {"session-key rotate"},
	`issuer-key`:    {"issuer-key list"},
	`verify`:        {"verify --timeout 5s"},
	`head`:          {"head"},
	`backup`:        {"backup never.age --unencrypted"},
	`cert`:          {"cert list", "cert revoke r1"},
}

// elsewhere are those whose mistakes are others.
var elsewhere = []string{
	"COMMAND --help", "dev", "dev --writers 3 --replicas 2", "help policy", "init", "log verify --data DIR", "node add", `policy lint\|test\|explain\|diff`,
	"provider keys ARN --file jwks.json", "recover", "restore", "serve", "signin", "verify --head FILE", "wait",
}

// mistake is what somebody may have wrong when a cluster is asked.
type mistake struct {
	name string
	env  map[string]string
	says string // what to do, as a pattern
}

// newcomer is a cluster of one writer in this process, and somebody who tries its commands.
type newcomer struct {
	dir, layout, data, api string
	root, bob              [2]string // access keys; bob's may do nothing
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{dir: t.TempDir()}
	n.layout, n.data = filepath.Join(n.dir, "layout"), filepath.Join(n.dir, "data")
	for _, name := range []string{"WRIT_ENDPOINT", "WRIT_REPLICAS", "AWS_ENDPOINT_URL", "WRIT_SETTINGS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_CONFIG_HOME", n.dir)
	t.Chdir(n.dir)
	ports, err := setup.FreeAddrs(3)
	if err != nil {
		t.Fatal(err)
	}
	c, root, err := setup.Init(n.layout, setup.Cluster{Account: setup.DefaultAccount, Writers: []setup.Writer{{Name: "w1", Peer: ports[0], Broker: ports[1], Routes: ports[2]}}}, setup.RootKey{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w, err := node.Start(t.Context(), node.Config{Cluster: c, Name: "w1", Data: n.data, API: "127.0.0.1:0", Files: setup.DefaultFiles(n.layout, "w1"), Drain: time.Second}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	n.api = w.API()
	ctx, cancel := context.WithTimeout(t.Context(), settleTimeout)
	defer cancel()
	for !isReady(ctx, "http://"+n.api) {
		if rest(ctx, temporaryPause); ctx.Err() != nil {
			t.Fatal("the writer is not ready")
		}
	}
	n.root = [2]string{root.AccessKeyID, root.SecretAccessKey}
	n.bob = n.user(t, "bob")
	return n
}

// user makes a user with an access key, who may do nothing.
func (n *newcomer) user(t *testing.T, name string) [2]string {
	t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://" + n.api, AccessKeyID: n.root[0], SecretAccessKey: n.root[1]})
	if err != nil {
		t.Fatal(err)
	}
	var body string
	for _, action := range []string{"CreateUser", "CreateAccessKey"} {
		got, err := c.Query(t.Context(), "iam", action, url.Values{"UserName": {name}})
		if err != nil {
			t.Fatal(err)
		}
		body = string(got.Body)
	}
	within := func(tag string) string {
		_, rest, _ := strings.Cut(body, "<"+tag+">")
		text, _, _ := strings.Cut(rest, "<")
		return text
	}
	return [2]string{within("AccessKeyId"), within("SecretAccessKey")}
}

// ends runs a command line that cannot be carried out, and demands a documented exit code and one
// line that says what to do.
func ends(t *testing.T, line, says string) {
	t.Helper()
	var out, errs strings.Builder
	args := strings.Fields(line)
	code := command(t.Context(), args, &out, &errs)
	cmd, _, err := newRoot().Find(args)
	if err != nil {
		t.Fatal(err)
	}
	documented := code == shell.CodeError || code == shell.CodeUsage || slices.ContainsFunc(outcomes[cmd.CommandPath()], func(o outcome) bool { return o.code == code })
	said := errs.String()
	if cmd.Name() == "why" && code == shell.CodeUnhealthy { // its findings are its answer
		said = "writ: " + shell.OneLine(out.String()) + "\n"
	}
	if !documented || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "writ: ") || !regexp.MustCompile(says).MatchString(said) {
		t.Errorf("writ %s: exit %d, and one line with %q is wanted, not\n%s", line, code, says, said)
	}
}

// TestMistakesOfNewcomers has every command of README.md that asks a cluster with each mistake.
func TestMistakesOfNewcomers(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("`writ ([^`]*)`").FindAllStringSubmatch(string(readme), -1) {
		if _, ok := asked[found[1]]; !ok && !slices.Contains(elsewhere, found[1]) {
			t.Errorf("README.md has `writ %s`, whose mistakes nobody makes", found[1])
		}
	}
	n := newNewcomer(t)
	mistakes := []mistake{
		{"no endpoint", map[string]string{"WRIT_ENDPOINT": ""}, "set WRIT_ENDPOINT|start the node, or set the endpoint"},
		{"no key", map[string]string{"AWS_ACCESS_KEY_ID": ""}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		{"nobody there", map[string]string{"WRIT_ENDPOINT": "http://127.0.0.1:1"}, "start the node, or set the endpoint to one that runs"},
		{"https for http", map[string]string{"WRIT_ENDPOINT": "https://" + n.api}, "serves clients without TLS, at http://" + n.api},
		{"no URL", map[string]string{"WRIT_ENDPOINT": n.api}, "is no http or https URL; set (WRIT_ENDPOINT|--endpoint or WRIT_ENDPOINT)"},
		{"another's secret", map[string]string{"AWS_SECRET_ACCESS_KEY": n.bob[1]}, "SignatureDoesNotMatch: .* with an active access key of this cluster"},
		{"an unknown key", map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, "InvalidClientTokenId: .* with an active access key of this cluster"},
		{"no rights", map[string]string{"AWS_ACCESS_KEY_ID": n.bob[0], "AWS_SECRET_ACCESS_KEY": n.bob[1]}, "AccessDenied: .* Attach a policy that allows the action to the caller"},
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			for name, value := range map[string]string{"WRIT_ENDPOINT": "http://" + n.api, "AWS_ACCESS_KEY_ID": n.root[0], "AWS_SECRET_ACCESS_KEY": n.root[1]} {
				t.Setenv(name, value)
			}
			for name, value := range m.env {
				t.Setenv(name, value)
			}
			for _, lines := range asked {
				for _, line := range lines {
					if line == "health" && m.env["WRIT_ENDPOINT"] == "" && m.name != "no endpoint" {
						continue // it needs no key
					}
					ends(t, line, m.says)
				}
			}
		})
	}
}

// TestMistakesOnOneMachine has those that work on files, directories and ports.
func TestMistakesOnOneMachine(t *testing.T) {
	n := newNewcomer(t)
	for name, value := range map[string]string{"WRIT_ENDPOINT": "http://" + n.api, "AWS_ACCESS_KEY_ID": n.root[0], "AWS_SECRET_ACCESS_KEY": n.root[1]} {
		t.Setenv(name, value)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := os.WriteFile("file", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(n.layout, "cluster.yaml")
	for _, c := range []struct{ line, says string }{
		{"dev --dir d1 --api " + taken.Addr().String(), "end what runs there, or choose other ports with --api"},
		{"dev --dir file --api 127.0.0.1:0", "--dir"},
		{"dev --writers 2", "use 1, 3 or 5"},
		{"init --dir file --writer w1=127.0.0.1:8430", "--dir"},
		{"node add replica r1 --dir nowhere", "writ init"},
		{"serve", "`writ init` makes a cluster.yaml, `writ dev` needs none"},
		{"serve --cluster nowhere/cluster.yaml --name w1 --data d2", "writ init"},
		{fmt.Sprintf("serve --cluster %s --name w9 --data d2", config), "w9.*cluster.yaml"},
		{fmt.Sprintf("serve --cluster %s --name w1 --data %s", config, n.data), "another process"},
		{"cert list --dir nowhere", "give the --dir that `writ init` made"},
		{"cert renew w1 --dir nowhere", "give the --dir that `writ init` made"},
		{"log verify --data nowhere", "--data is the directory that a writer was started with"},
		{"log verify --data " + n.data, "stop the writer first; `writ verify` checks those that run"},
		{"backup never.age --unencrypted --data nowhere", "--data is the directory that a writer was started with"},
		{"backup never.age --unencrypted --data " + n.data, "leave --data out to ask the running writer"},
		{"backup file --unencrypted", "file"},
		{"backup never.age", "--recipient age1.*--unencrypted"},
		{"recover --data nowhere", "--data is the directory that a writer was started with"},
		{"recover --data " + n.data, "stop the writer first"},
		{fmt.Sprintf("restore nowhere.age --cluster %s --name w1 --data d3", config), "stop all nodes of the cluster before it is restored"},
		{fmt.Sprintf("restore file --cluster %s --name w9 --data d3", config), "name a writer of"},
		{"policy lint nowhere.json", "nowhere.json"},
		{"catalog import nowhere.json", "nowhere.json"},
		{"provider keys arn:aws:iam::123456789012:oidc-provider/x --file nowhere.json", "nowhere.json"},
		{"verify --head nowhere.json --authority nowhere.crt", "nowhere"},
	} {
		ends(t, c.line, c.says)
	}
}
