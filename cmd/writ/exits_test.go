package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/cmd/writ/target"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/archive/bucket"
	"github.com/writ-iam/writ/node/archive/bucket/buckettest"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// exitCase is a command line and how it must end.
type exitCase struct {
	line string // words; $NAME stands for what the world knows
	code int
	says string // somewhere in the error
}

// exitWorld is a cluster of three writers and a replica, each run by `writ serve`,
// and files for the commands to work on.
type exitWorld struct {
	t     *testing.T
	dir   string
	names map[string]string // values of $NAME
	store string            // URL of an S3 store
	nodes map[string]*servedNode

	mu      sync.Mutex
	covered map[string][]int // codes seen, by command; guarded by mu
}

type servedNode struct {
	api  string
	stop context.CancelFunc
	done chan int // its exit code
}

// exitsOfQuestions are of verbs that ask a cluster and change nothing.
var exitsOfQuestions = []exitCase{
	{"writ health", 0, ""},
	{"writ health --endpoint $REPLICA", 0, ""},
	{"writ health --endpoint $NOBODY", shell.CodeUnhealthy, "does not answer"},
	{"writ health --endpoint nonsense", shell.CodeUsage, "no http or https URL"},
	{"writ health --ca-file missing.crt", shell.CodeError, "missing.crt"},
	{"writ status", 0, ""},
	{"writ status --endpoint $REPLICA", 0, ""},
	{"writ status --endpoint $NOBODY", shell.CodeUnhealthy, "refused"},
	{"writ status --endpoint http://nobody.invalid:1", shell.CodeError, "nobody.invalid"},
	{"writ status -o yaml", shell.CodeUsage, "text or json"},
	{"writ upgrade check", 0, ""},
	{"writ upgrade check --finished", 0, ""},
	{"writ upgrade check -o yaml", shell.CodeUsage, "text or json"},
	{"writ upgrade check --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ version", 0, ""},
	{"writ version -o json", 0, ""},
	{"writ version -o yaml", shell.CodeUsage, "text or json"},
	{"writ why", 0, ""},
	{"writ why -o yaml", shell.CodeUsage, "text or json"},
	{"writ why --wait 1m", shell.CodeUsage, "less than --timeout"},
	{"writ why --endpoint $NOBODY", shell.CodeUnhealthy, ""},
	{"writ why --ca-file missing.crt", shell.CodeError, "missing.crt"},
	{"writ wait --head --timeout 60s", 0, ""},
	{"writ wait --token nonsense", shell.CodeError, "token"},
	{"writ wait --token $AHEAD --timeout 10m", shell.CodeError, "never committed"},
	{"writ wait --token $AHEAD --timeout 10m --endpoint $REPLICA", shell.CodeError, "never committed"},
	{"writ can --wait --as $ROOT --action s3:GetObject --expect allow --at-least $AHEAD --timeout 10m", shell.CodeError, "never committed"},
	{"writ wait", shell.CodeUsage, "say what to wait for"},
	{"writ can --as $ROOT --action s3:GetObject", 0, ""},
	{"writ can --as $ROOT --action s3:GetObject --at 1", 0, ""},
	{"writ can --as $ROOT --action s3:GetObject --at 999999999", shell.CodeError, "the future"},
	{"writ can --as $ROOT --action s3:GetObject --at yesterday", shell.CodeUsage, "neither"},
	{"writ can --as $ROOT --action s3:GetObject --at 1 --consistency any", shell.CodeUsage, "--at"},
	{"writ why-changed $ROOT s3:GetObject --from 1 --to 1", 0, ""},
	{"writ why-changed $ROOT s3:GetObject --from 1", shell.CodeUsage, "--to"},
	{"writ why-changed $ROOT s3:GetObject --from 1 --to 1 --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ can --as $USER --action s3:GetObject", shell.CodeDenied, ""},
	{"writ can --action s3:GetObject", shell.CodeUsage, "say who"},
	{"writ can --as $ROOT --action s3:GetObject --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ can --wait --as $ROOT --action s3:GetObject --expect allow", 0, ""},
	{"writ can --wait --as $ROOT --action s3:GetObject --expect deny --timeout 0s", shell.CodeDenied, "absent"},
}

// exitsOfCluster are of verbs on replicas and on the history, in an order that matters:
// what is drained is resumed.
var exitsOfCluster = []exitCase{
	{"writ replica list", 0, ""},
	{"writ replica list -o yaml", shell.CodeUsage, ""},
	{"writ replica list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ writer list", 0, ""},
	{"writ writer list -o yaml", shell.CodeUsage, ""},
	{"writ writer list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ writer remove", shell.CodeUsage, ""},
	{"writ writer add w9 --peer 127.0.0.1:1", 0, ""},
	{"writ writer add w9 --peer 127.0.0.1:1", shell.CodeError, "EntityAlreadyExists"},
	{"writ writer add w8", shell.CodeUsage, "--peer is missing"},
	{"writ writer move w9 --peer 127.0.0.1:11", 0, ""},
	{"writ writer move nobody --peer 127.0.0.1:21", shell.CodeError, "NoSuchEntity"},
	{"writ writer move w9 --peer nonsense", shell.CodeUsage, "is not HOST:PORT"},
	{"writ writer replace w9", 0, ""},
	{"writ writer replace w1", shell.CodeError, "there is nothing to replace"},
	{"writ writer replace", shell.CodeUsage, ""},
	{"writ writer remove w9", 0, ""},
	{"writ writer remove nobody:1", shell.CodeError, "NoSuchEntity"},
	{"writ writer transfer w1 w2", shell.CodeUsage, ""},
	{"writ writer transfer nobody", shell.CodeError, "NoSuchEntity"},
	{"writ backup $DIR/b.archive --unencrypted", 0, ""},
	{"writ backup $DIR/b.archive --unencrypted", shell.CodeError, "never replaced"},
	{"writ backup $DIR/nowhere/b.archive --unencrypted", shell.CodeError, "no such file"},
	{"writ backup $DIR/c.archive --unencrypted --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ backup $DIR/c.archive --unencrypted --endpoint $REPLICA", shell.CodeError, "ask a writer"},
	{"writ backup $DIR/c.archive --unencrypted --data $DIR/data/w1", shell.CodeError, "leave --data out"},
	{"writ backup $DIR/c.archive", shell.CodeUsage, "--recipient"},
	{"writ backup $DIR/c.archive --recipient age1nobody", shell.CodeUsage, "age1nobody"},
	{"writ backup", shell.CodeUsage, "standard output"},
	{"writ backup s3://bucket --unencrypted --s3-endpoint $STORE", shell.CodeUsage, "s3://BUCKET/KEY"},
	{"writ backup s3://backups/b.archive --unencrypted", shell.CodeUsage, "--s3-region"},
	{"writ backup s3://backups/b.archive --unencrypted --s3-endpoint $STORE --s3-credentials-file $GOOD", shell.CodeUsage, "has not the form"},
	{"writ backup s3://backups/b.archive --unencrypted --s3-endpoint $STORE", 0, ""},
	{"writ backup s3://backups/b.archive --unencrypted --s3-endpoint $STORE", shell.CodeError, "never replaced"},
	{"writ backup s3://others/b.archive --unencrypted --s3-endpoint $STORE", shell.CodeError, "make the bucket first"},
	{"writ catalog show", 0, ""},
	{"writ catalog show -o yaml", shell.CodeUsage, ""},
	{"writ catalog show --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ catalog import", 0, ""},
	{"writ catalog import one two", shell.CodeUsage, ""},
	{"writ catalog import --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ account quotas", 0, ""},
	{"writ account quotas --users many", shell.CodeUsage, "neither a number"},
	{"writ account quotas --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ account create --email ops@example.com --number 210987654321 --root-key", 0, ""},
	{"writ account create --email ops@example.com", shell.CodeError, "EntityAlreadyExists"},
	{"writ account create", shell.CodeUsage, "--email"},
	{"writ account list", 0, ""},
	{"writ account list all", shell.CodeUsage, ""},
	{"writ account list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ account alias 210987654321 --set ops", 0, ""},
	{"writ account alias 210987654321 --set ops", shell.CodeError, "EntityAlreadyExists"},
	{"writ account alias 210987654321", shell.CodeUsage, "--remove"},
	{"writ account root 210987654321 --password-file $DIR/none", shell.CodeError, "none"},
	{"writ account root 210987654321 --email root@example.com", 0, ""},
	{"writ account root 210987654321", shell.CodeUsage, "--password-file"},
	{"writ account close 210987654321", 0, ""},
	{"writ account close 210987654321", shell.CodeError, "closed"},
	{"writ account close", shell.CodeUsage, ""},
	{"writ revoke --principal arn:aws:iam::123456789012:root", 0, ""},
	{"writ revoke", shell.CodeUsage, "give one of"},
	{"writ revoke --session ASIA --key AKIA", shell.CodeUsage, "give one of"},
	{"writ revoke --key AKIA --issued-before yesterday", shell.CodeUsage, "no time"},
	{"writ revoke --role arn:aws:iam::123456789012:root", shell.CodeUsage, "--principal"},
	{"writ revoke --session AKIAIOSFODNN7EXAMPLE", shell.CodeUsage, "--key"},
	{"writ revoke --role arn:aws:iam::123456789012:role/none", shell.CodeError, "NoSuchEntity"},
	{"writ sessions list", 0, ""},
	{"writ sessions list -o yaml", shell.CodeUsage, ""},
	{"writ sessions list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ seal list --file $DIR/seal.key", 0, ""},
	{"writ seal list --file $DIR/none", shell.CodeError, "none"},
	{"writ seal list", shell.CodeUsage, "--file"},
	{"writ seal add --file $DIR/none", shell.CodeError, "none"},
	{"writ seal add", shell.CodeUsage, "--file"},
	{"writ log compact", shell.CodeUsage, "--data"},
	{"writ log compact --data $DIR/none", shell.CodeError, "started with"},
	{"writ log compact --data $DIR/data/w1", shell.CodeError, "stop the writer first"},
	{"writ retention set --floor 999999999", shell.CodeError, "The history ends at"},
	{"writ retention show", 0, ""},
	{"writ retention show --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ retention show -o yaml", shell.CodeUsage, ""},
	{"writ retention set --floor 1", 0, ""},
	{"writ retention set --keep-positions 10", shell.CodeError, "at least 1000"},
	{"writ retention set", shell.CodeUsage, "say what to change"},
	{"writ retention set --keep-days 0", shell.CodeUsage, "--keep-all"},
	{"writ retention set --keep-days 1 --keep-all", shell.CodeUsage, ""},
	{"writ seal status", 0, ""},
	{"writ seal status -o yaml", shell.CodeUsage, ""},
	{"writ seal status --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ seal status --wait --timeout 100ms --endpoint $NOBODY", shell.CodeNotYet, "refused"},
	{"writ seal rotate --key first", shell.CodeUsage, "no id"},
	{"writ seal rotate", 0, ""},
	{"writ seal status --wait --timeout 60s", 0, ""},
	{"writ seal rotate", shell.CodeError, "writ seal add"},
	{"writ session-key list", 0, ""},
	{"writ session-key list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ session-key list -o yaml", shell.CodeUsage, ""},
	{"writ session-key rotate", 0, ""},
	{"writ session-key rotate --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ session-key rotate now", shell.CodeUsage, ""},
	{"writ session-key revoke 1", 0, ""},
	{"writ session-key revoke 1", shell.CodeError, "NoSuchEntity"},
	{"writ session-key revoke one", shell.CodeUsage, "no number"},
	{"writ issuer-key list", 0, ""},
	{"writ issuer-key list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ issuer-key list -o yaml", shell.CodeUsage, ""},
	{"writ issuer-key rotate", 0, ""},
	{"writ issuer-key rotate --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ issuer-key rotate now", shell.CodeUsage, ""},
	{"writ issuer-key revoke 1", 0, ""},
	{"writ issuer-key revoke 1", shell.CodeError, "NoSuchEntity"},
	{"writ issuer-key revoke one", shell.CodeUsage, "no number"},
	{"writ provider keys arn:aws:iam::123456789012:oidc-provider/issuer.test --published", 0, ""},
	{"writ provider keys arn:aws:iam::123456789012:oidc-provider/none --published", shell.CodeError, "NoSuchEntity"},
	{"writ provider keys arn:aws:iam::123456789012:oidc-provider/none", shell.CodeUsage, "give one of"},
	{"writ provider keys", shell.CodeUsage, ""},
	{"writ provider keys arn --file missing.json", shell.CodeError, "missing.json"},
	{"writ provider keys arn:aws:iam::123456789012:oidc-provider/issuer.test --file /dev/null", shell.CodeError, "empty"},
	{"writ signin --account 123456789012 --user alice --password-file $PASSWORD --endpoint $REPLICA", 0, ""},
	{"writ signin --account 123456789012 --user bob --password-file $PASSWORD", shell.CodeError, "SignInFailed"},
	{"writ signin --account 123456789012", shell.CodeUsage, "--user"},
	{"writ signin --email root@example.com --password-file $PASSWORD --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ signin --email root@example.com --password-file missing", shell.CodeError, "missing"},
	{"writ replica drain r1", 0, ""},
	{"writ replica drain r1", shell.CodeError, "draining"},
	{"writ replica drain", shell.CodeUsage, ""},
	{"writ replica resume r1", 0, ""},
	{"writ replica resume r1", shell.CodeError, "not draining"},
	{"writ replica resume", shell.CodeUsage, ""},
	{"writ replica remove", shell.CodeUsage, ""},
	{"writ replica admit", shell.CodeUsage, ""},
	{"writ replica admit nobody", shell.CodeError, ""},
	{"writ replica remove nobody", shell.CodeError, "not registered"},
	{"writ head --authority $CA", 0, ""},
	{"writ head --authority $OTHERCA", shell.CodeUnhealthy, ""},
	{"writ head --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ wait --head --timeout 100ms --endpoint $NOBODY", shell.CodeNotYet, "refused"},
	{"writ can --wait --as $ROOT --action s3:GetObject --expect allow --timeout 100ms --endpoint $NOBODY", shell.CodeNotYet, "refused"},
	{"writ head --authority missing.crt", shell.CodeError, "missing.crt"},
	{"writ head -o yaml", shell.CodeUsage, ""},
	{"writ verify", 0, ""},
	{"writ verify --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ verify --head x --from 2", shell.CodeUsage, ""},
	{"writ verify --head $FORGEDHEAD --authority $CA", shell.CodeUnhealthy, ""},
	{"writ watch -o yaml", shell.CodeUsage, ""},
	{"writ watch --after nonsense --endpoint $REPLICA", shell.CodeError, "nonsense"},
	{"writ writer transfer", 0, ""},
	{"writ cert list", 0, ""},
	{"writ cert list --endpoint $NOBODY", shell.CodeError, "refused"},
	{"writ cert list -o yaml", shell.CodeUsage, ""},
	{"writ cert revoke", shell.CodeUsage, ""},
	{"writ cert revoke r1", shell.CodeError, "would be cut off"},
	{"writ cert revoke R? --unknown", shell.CodeError, "No node can be called"},
	{"writ cert revoke stolen", shell.CodeError, "no member is called stolen"},
	{"writ cert revoke stolen --unknown", 0, ""},
	{"writ cert revoke 5f1c0a9b7d3e2f4860718293a4b5c6d7", 0, ""},
}

// exitsOfFiles are of verbs on files, and of those that make a node.
var exitsOfFiles = []exitCase{
	{"writ log verify", shell.CodeUsage, "--data"},
	{"writ log verify --data $DIR/nowhere", shell.CodeError, "no such file"},
	{"writ log verify --data $DIR/data/w1", shell.CodeError, "another process has the event store open"},
	{"writ log verify --data $BROKEN", shell.CodeUnhealthy, "broken"},
	{"writ backup verify $DIR/b.archive --authority $DIR/ca.crt", 0, ""},
	{"writ backup verify $GOOD", shell.CodeUnhealthy, "no archive"},
	{"writ backup verify missing", shell.CodeError, "missing"},
	{"writ backup verify", shell.CodeUsage, ""},
	{"writ backup verify s3://backups/b.archive --authority $DIR/ca.crt --s3-endpoint $STORE", 0, ""},
	{"writ backup verify s3://backups/none --s3-endpoint $STORE", shell.CodeError, "does not exist"},
	{"writ backup verify s3://backups/none", shell.CodeUsage, "--s3-region"},
	{"writ policy lint $GOOD", 0, ""},
	{"writ policy lint $BAD", shell.CodeDenied, ""},
	{"writ policy lint missing.json", shell.CodeError, ""},
	{"writ policy lint", shell.CodeUsage, ""},
	{"writ policy test $PASSES", 0, ""},
	{"writ policy test $FAILS", shell.CodeDenied, ""},
	{"writ policy test missing.jsonl", shell.CodeError, ""},
	{"writ policy test", shell.CodeUsage, ""},
	{"writ policy explain --policy $GOOD --principal $USER --action s3:GetObject", 0, ""},
	{"writ policy explain --policy missing.json --principal $USER --action s3:GetObject", shell.CodeError, ""},
	{"writ policy explain", shell.CodeUsage, ""},
	{"writ policy diff $GOOD $GOOD", 0, ""},
	{"writ policy diff $GOOD $MORE", shell.CodeDenied, ""},
	{"writ policy diff $GOOD missing.json", shell.CodeError, ""},
	{"writ policy diff $GOOD", shell.CodeUsage, ""},
	{"writ config print --redacted --cluster $DIR/cluster.yaml --name w1 --data d", 0, ""},
	{"writ config print --redacted --cluster missing.yaml --name w1 --data d", shell.CodeError, ""},
	{"writ config print", shell.CodeUsage, ""},
	{"writ man --dir $DIR/man", 0, ""},
	{"writ man --dir $GOOD/x", shell.CodeError, ""},
	{"writ man extra", shell.CodeUsage, ""},
	{"writ init --dir $DIR/other --writer w=127.0.0.1:1", 0, ""},
	{"writ restore $DIR/b.archive --cluster $DIR/cluster.yaml --name w1 --data $DIR/restored", shell.CodeError, "something answers"},
	{"writ restore $DIR/b.archive --cluster $DIR/other/cluster.yaml --data $DIR/restored", shell.CodeError, "sealed with other keys"},
	{"writ restore $DIR/b.archive --cluster $DIR/other/cluster.yaml --data $DIR/restored --seal-key-file $DIR/seal.key --to-position 99999", shell.CodeError, "they end at position"},
	{"writ restore $DIR/b.archive --cluster $DIR/other/cluster.yaml --data $DIR/restored --seal-key-file $DIR/seal.key --authority $DIR/ca.crt", 0, ""},
	{"writ restore $DIR/b.archive --cluster $DIR/other/cluster.yaml --data $DIR/restored --seal-key-file $DIR/seal.key", shell.CodeError, "not empty"},
	{"writ restore $DIR/b.archive --cluster $DIR/other/cluster.yaml --name w9 --data $DIR/d", shell.CodeUsage, "--name"},
	{"writ restore $DIR/b.archive", shell.CodeUsage, "--cluster"},
	{"writ recover", shell.CodeUsage, "--data"},
	{"writ recover --data $DIR/nowhere", shell.CodeError, "no such file"},
	{"writ recover --data $DIR/data/w1", shell.CodeError, "stop the writer first"},
	{"writ recover --data $DIR/restored", shell.CodeUsage, "--yes"},
	{"writ recover --data $DIR/restored --yes", 0, ""},
	{"writ init --dir $GOOD --writer w=127.0.0.1:1", shell.CodeError, ""},
	{"writ init --writer nonsense", shell.CodeUsage, ""},
	{"writ node add replica r2 --dir $DIR/other", 0, ""},
	{"writ node add replica w --dir $DIR/other", shell.CodeError, "given twice"},
	{"writ node add replica", shell.CodeUsage, ""},
	{"writ cert renew r2 --dir $DIR/other", 0, ""},
	{"writ cert renew --all --life 720h --dir $DIR/other", 0, ""},
	{"writ cert renew r9 --dir $DIR/other", shell.CodeError, "has no node r9"},
	{"writ cert renew --dir $DIR/other", shell.CodeUsage, "--all"},
	{"writ cert renew r2 --life 30s --dir $DIR/other", shell.CodeUsage, "--life"},
	{"writ cert list --dir $DIR/other", 0, ""},
	{"writ cert authority drop --dir $DIR/other --anyway", 0, ""},
	{"writ cert authority use --dir $DIR/other --anyway", shell.CodeError, "begin by"},
	{"writ cert authority rotate --dir $DIR/other", 0, ""},
	{"writ cert authority rotate --dir $DIR/other", shell.CodeError, "finish what is under way"},
	{"writ cert authority rotate --dir $DIR/other now", shell.CodeUsage, ""},
	{"writ cert authority use --dir $DIR/other", shell.CodeError, ""},
	{"writ cert authority drop --dir $DIR/other --anyway", shell.CodeError, "comes first"},
	{"writ cert authority use --dir $DIR/other --anyway", 0, ""},
	{"writ cert authority use --dir $DIR/other now", shell.CodeUsage, ""},
	{"writ cert authority drop --dir $DIR/other", shell.CodeError, ""},
	{"writ cert authority drop now", shell.CodeUsage, ""},
	{"writ serve", shell.CodeUsage, "--cluster"},
	{"writ serve --cluster missing.yaml --name w1 --data d", shell.CodeError, ""},
	{"writ serve --cluster $DIR/cluster.yaml --name w1 --data d --session-key-age 1h", shell.CodeError, "keys cannot be rotated at an age of 1h0m0s"},
	{"writ serve --cluster $DIR/cluster.yaml --name w1 --data d --issuer-key-age 1h", shell.CodeError, "keys cannot be rotated at an age of 1h0m0s"},
	{"writ dev --writers 2", shell.CodeUsage, ""},
	{"writ dev --dir $GOOD", shell.CodeError, ""},
}

// exitsWithoutLeader are those when too few writers are left.
var exitsWithoutLeader = []exitCase{
	{"writ wait --head --timeout 1s --endpoint $REPLICA", shell.CodeNotYet, "within 1s"},
	{"writ wait --head --timeout 1s --endpoint $WRITER", shell.CodeNotYet, "within 1s"},
	{"writ can --wait --as $ROOT --action s3:GetObject --expect allow --timeout 1s --endpoint $REPLICA", shell.CodeNotYet, "within 1s"},
	{"writ replica drain r1 --endpoint $REPLICA", shell.CodeError, ""},
	{"writ head --endpoint $REPLICA", shell.CodeError, ""},
	{"writ upgrade check --endpoint $WRITER", shell.CodeUnhealthy, ""},
	{"writ verify --timeout 1s --endpoint $REPLICA", shell.CodeError, ""},
}

// TestExitCodes walks every command through every exit code that it promises, with
// a leader, and those that ask a cluster without one, too.
func TestExitCodes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a cluster")
	}
	w := newExitWorld(t)
	for _, c := range slices.Concat(exitsOfQuestions, exitsOfCluster, exitsOfFiles) {
		w.run(c)
	}
	if code := w.stopNode("w3"); code != 0 {
		t.Errorf("writ serve that is told to stop exits %d", code)
	}
	w.untilStatus("w3 is unreachable")
	w.run(exitCase{"writ upgrade check", shell.CodeUnhealthy, ""})
	w.run(exitCase{"writ log verify --data $DIR/data/w3", 0, ""})
	w.run(exitCase{"writ log compact --data $DIR/data/w3", 0, ""})
	w.stopNode(w.other())
	w.untilStatus("no leader is known")
	var running sync.WaitGroup
	for _, c := range exitsWithoutLeader {
		running.Go(func() { w.run(c) })
	}
	running.Wait()
	w.complete("writ replica remove", "writ watch", "writ dev", "writ replica admit", "writ version")
}

// TestWaitWithoutAnswer waits at nodes that never answer, and at one that knows no
// leader: the time that the caller gave is kept, and the code is that of a wait.
func TestWaitWithoutAnswer(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	done := make(chan struct{})
	mute := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}))
	defer mute.Close()
	defer close(done)
	leaderless := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(rw, `{"code":"Unavailable","detail":"No node that leads was reached."}`)
	}))
	defer leaderless.Close()
	for _, endpoint := range []string{mute.URL, leaderless.URL} {
		for _, line := range []string{
			"wait --head --timeout 10ms --endpoint " + endpoint,
			"can --wait --as arn:aws:iam::123456789012:root --action s3:GetObject --expect allow --timeout 10ms --endpoint " + endpoint,
		} {
			begun := time.Now()
			code, text := exitOf(run(t.Context(), strings.Fields(line)))
			if code != shell.CodeNotYet || !strings.Contains(text, "within 10ms") {
				t.Errorf("%s: exit %d, %s", line, code, text)
			}
			// Far less than the time that a client leaves a node for an answer.
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("%s took %v", line, took)
			}
		}
	}
}

// TestSilentNodes asks nodes that accept connections and never answer, as stopped
// processes do: each command ends in its time, with its code, and names them. One that
// answers is heard, though others are silent.
func TestSilentNodes(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("WRIT_REPLICAS", "")
	var silent []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: the kernel does
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		silent = append(silent, l.Addr().String())
	}
	t.Setenv("WRIT_ENDPOINT", "http://"+strings.Join(silent, ",http://"))
	for _, c := range []struct {
		line string
		code int
		all  bool // all of them are named
	}{
		{"writ status", shell.CodeUnhealthy, true},
		{"writ health", shell.CodeUnhealthy, true},
		{"writ replica list", shell.CodeError, true},
		{"writ replica drain r1", shell.CodeError, false},
		{"writ replica resume r1", shell.CodeError, false},
		{"writ replica remove r1", shell.CodeError, false},
		{"writ replica admit r1", shell.CodeError, false},
		{"writ head", shell.CodeError, false},
		{"writ can --as arn:aws:iam::123456789012:root --action s3:GetObject", shell.CodeError, false},
	} {
		code, text := exitOf(run(t.Context(), append(strings.Fields(c.line)[1:], "--timeout", "10ms")))
		if code != c.code {
			t.Errorf("%s: exit %d, %s", c.line, code, text)
		}
		named := 0
		for _, addr := range silent {
			if strings.Contains(text, addr) {
				named++
			}
		}
		if named == 0 || c.all && named < len(silent) {
			t.Errorf("%s names %d silent nodes: %s", c.line, named, text)
		}
	}

	answers := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, `{"leader":"w3","members":[{"name":"w3","role":"writer","state":"leading"}]}`)
	}))
	defer answers.Close()
	t.Setenv("WRIT_ENDPOINT", os.Getenv("WRIT_ENDPOINT")+","+answers.URL)
	for _, line := range []string{"status --timeout 10m", "replica list --timeout 10m"} { // more than the test has
		if code, text := exitOf(run(t.Context(), strings.Fields(line))); code != 0 {
			t.Errorf("%s, where one node answers: exit %d, %s", line, code, text)
		}
	}
}

// TestEveryCommandEnds looks at the bounds that commands have unless they are told
// otherwise: no command that asks nodes is without one, but for the watch, which has no end.
func TestEveryCommandEnds(t *testing.T) {
	want := map[string]time.Duration{"writ status": lookTimeout, "writ health": lookTimeout, "writ replica list": lookTimeout, "writ head": askTimeout}
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Flags().Lookup(target.EndpointFlag) == nil || cmd.CommandPath() == "writ watch" || cmd.CommandPath() == "writ backup" { // which ends when nothing comes for a minute
			return
		}
		limit, err := cmd.Flags().GetDuration("timeout")
		if most := cmp.Or(want[cmd.CommandPath()], time.Minute); err != nil || limit <= 0 || limit > most {
			t.Errorf("%s may take %v, %v", cmd.CommandPath(), limit, err)
		}
	}
	walk(newRoot())
}

func newExitWorld(t *testing.T) *exitWorld {
	w := &exitWorld{t: t, dir: t.TempDir(), nodes: make(map[string]*servedNode), covered: make(map[string][]int)}
	for _, name := range []string{"WRIT_ENDPOINT", "WRIT_REPLICAS", "AWS_ENDPOINT_URL", "WRIT_SETTINGS"} {
		t.Setenv(name, "")
	}
	w.store = buckettest.New(t).URL
	t.Setenv(bucket.EnvAccessKeyID, buckettest.AccessKeyID)
	t.Setenv(bucket.EnvSecretAccessKey, buckettest.Secret)
	t.Setenv("XDG_CONFIG_HOME", w.dir)
	t.Chdir(w.dir)
	ports, err := setup.FreeAddrs(9)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"init", "--dir", filepath.Join(w.dir, "c"), "--replica", "r1=eu"}
	for i := range 3 {
		args = append(args, "--writer", fmt.Sprintf("w%d=%s", i+1, strings.Join(ports[3*i:3*i+3], ",")))
	}
	if err := run(t.Context(), args); err != nil {
		t.Fatal(err)
	}
	w.run(exitCase{"writ seal add --file " + filepath.Join(w.dir, "c", "seal.key"), 0, ""})
	text, err := os.ReadFile(filepath.Join(w.dir, "c", "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	var root setup.RootKey
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", root.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", root.SecretAccessKey)
	for _, name := range []string{"w1", "w2", "w3", "r1"} {
		w.serve(name)
	}
	t.Setenv("WRIT_ENDPOINT", w.nodes["w1"].api)
	w.files()
	w.until("the cluster is in order", func() bool {
		return run(t.Context(), []string{"health", "--endpoint", w.nodes["r1"].api}) == nil && run(t.Context(), []string{"status"}) == nil
	})
	c, err := client.New(client.Config{Endpoint: w.nodes["w1"].api, AccessKeyID: root.AccessKeyID, SecretAccessKey: root.SecretAccessKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "iam", "CreateUser", url.Values{"UserName": {"alice"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "iam", "CreateOpenIDConnectProvider", url.Values{"Url": {"https://issuer.test"}, "ThumbprintList.member.1": {strings.Repeat("a", 40)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Query(t.Context(), "iam", "CreateLoginProfile", url.Values{"UserName": {"alice"}, "Password": {"Passw0rd-1"}}); err != nil {
		t.Fatal(err)
	}
	p, err := c.Propagation(t.Context(), client.Target{}, client.Scope{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ahead, err := event.ParseToken(p.Token)
	if err != nil {
		t.Fatal(err)
	}
	ahead.Position += 1000
	w.names["PASSWORD"] = filepath.Join(w.dir, "password")
	if err := os.WriteFile(w.names["PASSWORD"], []byte("Passw0rd-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.names["AHEAD"] = ahead.String()
	return w
}

// serve runs a node of the cluster until the test ends or stopNode is called.
func (w *exitWorld) serve(name string) {
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		w.t.Fatal(err)
	}
	addr := addrs[0]
	ctx, stop := context.WithCancel(context.Background())
	n := &servedNode{api: "http://" + addr, stop: stop, done: make(chan int, 1)}
	w.nodes[name] = n
	go func() {
		code, text := exitOf(run(ctx, []string{"serve", "--cluster", filepath.Join(w.dir, "c", "cluster.yaml"), "--name", name,
			"--data", filepath.Join(w.dir, "c", "data", name), "--api", addr, "--drain", "1s", "--log-level", "ERROR+8"}))
		if code != 0 {
			w.t.Errorf("writ serve --name %s: %s", name, text)
		}
		n.done <- code
	}()
	w.t.Cleanup(func() { w.stopNode(name) })
}

func (w *exitWorld) stopNode(name string) int {
	n := w.nodes[name]
	if n == nil {
		return 0
	}
	delete(w.nodes, name)
	n.stop()
	return <-n.done
}

// other is a writer that runs and is not the first.
func (w *exitWorld) other() string {
	for _, name := range []string{"w2", "w3"} {
		if w.nodes[name] != nil {
			return name
		}
	}
	return ""
}

// settleTimeout is how long the cluster may take to come to a state.
const settleTimeout = time.Minute

func (w *exitWorld) until(what string, done func() bool) {
	deadline := time.Now().Add(settleTimeout)
	for !done() {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within %v", what, settleTimeout)
		}
		rest(w.t.Context(), temporaryPause)
	}
}

// untilStatus waits until `writ status` exits 5 and says so.
func (w *exitWorld) untilStatus(says string) {
	w.until(says, func() bool {
		code, text := exitOf(run(w.t.Context(), []string{"status"}))
		return code == shell.CodeUnhealthy && strings.Contains(text, says)
	})
	w.run(exitCase{"writ status", shell.CodeUnhealthy, says})
}

// files writes what the commands work on.
func (w *exitWorld) files() {
	write := func(name, text string) string {
		path := filepath.Join(w.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	policy := func(action string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":` + action + `,"Resource":"*"}]}`
	}
	testCase := func(want string) string {
		return `{"id":"1","request":{"action":"s3:GetObject","resource_arn":"arn:aws:s3:::b/k"},"identity_policies":[` +
			policy(`"s3:GetObject"`) + `],"expected":{"decision":"` + want + `"}}` + "\n"
	}
	broken := filepath.Join(w.dir, "broken")
	if err := os.MkdirAll(filepath.Join(broken, "log"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	write("broken/log/events.db", strings.Repeat("no event store", 1000))
	write("broken/log/batches.db", strings.Repeat("no event store", 1000))
	if _, _, err := setup.Init(filepath.Join(w.dir, "stranger"), setup.Cluster{Account: setup.DefaultAccount,
		Writers: []setup.Writer{{Name: "w", Peer: "127.0.0.1:1", Broker: "127.0.0.1:2", Routes: "127.0.0.1:3"}}}, setup.RootKey{}, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	w.names = map[string]string{
		"DIR": filepath.Join(w.dir, "c"), "CA": filepath.Join(w.dir, "c", "ca.crt"), "OTHERCA": filepath.Join(w.dir, "stranger", "ca.crt"),
		"ROOT": "arn:aws:iam::123456789012:root", "USER": "arn:aws:iam::123456789012:user/alice",
		"NOBODY": "http://127.0.0.1:1", "STORE": w.store, "REPLICA": w.nodes["r1"].api, "WRITER": w.nodes["w1"].api, "BROKEN": broken,
		"GOOD": write("good.json", policy(`"s3:GetObject"`)), "MORE": write("more.json", policy(`["s3:GetObject","s3:PutObject"]`)),
		"BAD":    write("bad.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}`),
		"PASSES": write("passes.jsonl", testCase("allow")), "FAILS": write("fails.jsonl", testCase("explicitDeny")),
		"FORGEDHEAD": write("forged.json", "{}"),
	}
}

// run runs one case and notes what it covers.
func (w *exitWorld) run(c exitCase) {
	w.t.Helper()
	line := os.Expand(c.line, func(name string) string { return w.names[name] })
	args := strings.Fields(line)[1:]
	code, text := exitOf(run(w.t.Context(), args))
	if code != c.code || !strings.Contains(text, c.says) {
		w.t.Errorf("%s\nexits %d (%s), not %d (%s)", line, code, text, c.code, c.says)
	}
	cmd, _, err := newRoot().Find(args)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.covered[cmd.CommandPath()] = append(w.covered[cmd.CommandPath()], code)
}

// complete demands that each command was seen with each code that it promises.
// Those named are excused from 0 and 1: a test of their own ends them so, or nothing does.
func (w *exitWorld) complete(excused ...string) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.RunE == nil || cmd.HasSubCommands() || strings.HasPrefix(cmd.CommandPath(), "writ completion") || cmd.Name() == "help" {
			return
		}
		want := []int{shell.CodeUsage}
		if !slices.Contains(excused, cmd.CommandPath()) && cmd.CommandPath() != "writ serve" {
			want = append(want, 0, shell.CodeError)
		}
		for _, o := range outcomes[cmd.CommandPath()] {
			want = append(want, o.code)
		}
		for _, code := range want {
			if !slices.Contains(w.covered[cmd.CommandPath()], code) {
				w.t.Errorf("%s was not seen to exit %d", cmd.CommandPath(), code)
			}
		}
	}
	walk(newRoot())
	for path := range outcomes {
		if cmd, _, err := newRoot().Find(strings.Fields(path)[1:]); err != nil || cmd.CommandPath() != path {
			w.t.Errorf("exit codes of %s, which is no command", path)
		}
	}
}

// exitOf is the code that main would exit with, and what it would print.
// run carries out a command line, and lets it print.
func run(ctx context.Context, args []string) error { return carryOut(ctx, args, os.Stdout, os.Stderr) }

func exitOf(err error) (int, string) {
	var e *shell.Exit
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &e) && e.Err == nil:
		return e.Code, ""
	case errors.As(err, &e):
		return e.Code, e.Err.Error()
	}
	return shell.CodeError, err.Error()
}
