package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run this binary as writ.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"writ": main})
}

var update = flag.Bool("update", false, "rewrite the outputs in scripts")

// sampleCases are authorization cases with the decisions that AWS documents.
const sampleCases = "../../projection/authz/cases/testdata/cases.jsonl"

// TestScripts runs the stories of testdata/script. Beyond what testscript
// knows, they can say
//
//	exits CODE writ ARGUMENT...    run it and demand an exit code
//	policy STATEMENTS FILE         write a policy with as many statements
//	cluster start DIR [REPLICAS]   run a cluster of one writer, and point writ at it
//	cluster stop DIR [REPLICA]     stop it, or one of its replicas, r1 and so on
//	iam [-id VARIABLE] ACTION [NAME VALUE]...
//	                               call IAM there, as the root; keep the request's id
//	field FILE NAME VARIABLE       set a variable to a field of JSON
//
// The variable CASES names a file of authorization cases.
func TestScripts(t *testing.T) {
	cases, err := filepath.Abs(sampleCases)
	if err != nil {
		t.Fatal(err)
	}
	clusters := &scriptClusters{clusters: make(map[string]*scriptCluster)}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "policy": writePolicy, "cluster": clusters.cluster, "iam": callIAM, "field": jsonField,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("CASES", cases)
			return nil
		},
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// writePolicy writes a policy of many statements, each with an action of its
// own and 50 bytes or more.
func writePolicy(ts *testscript.TestScript, neg bool, args []string) {
	const needed = 2
	if neg || len(args) != needed {
		ts.Fatalf("usage: policy STATEMENTS FILE")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i := range n {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"Effect":"Allow","Action":"example:A%d","Resource":"*"}`, i)
	}
	b.WriteString("]}\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// exits runs a program and demands its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	const needed = 2
	if neg || len(args) < needed {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%v exits %d, not %d", args[1:], got, want)
	}
}
