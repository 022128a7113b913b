package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/writ-iam/writ/cmd/writ/shell"
	"github.com/writ-iam/writ/node/client"
)

// What writ watch prints, until the server says that the caller may watch no more.
func TestWatchPrints(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `event: heartbeat
data: {"node":"r1","position":6,"head":8,"lag":2,"freshness":"leased","staleness_bound_ms":null}

event: gap
data: {"from":7,"to":9,"hint":"Read anew."}

event: position
data: {"position":10,"token":"t","time":"2026-07-01T12:00:00.000Z","action":"iam:CreateUser","events":["UserCreated","PolicyAttached"]}

event: position
data: {"position":11,"token":"t","time":"2026-07-01T12:00:01.000Z","action":"","events":["ReplicaRegistered"]}

event: end
data: {"status":403,"code":"AccessDenied","detail":"No."}

`)
	}))
	defer s.Close()
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKeyID: "a", SecretAccessKey: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{
		"text": "7-9  not told: Read anew.\n10  2026-07-01T12:00:00Z  iam:CreateUser  UserCreated PolicyAttached\n11  2026-07-01T12:00:01Z  (cluster)  ReplicaRegistered\n",
		"json": `{"event":"heartbeat","position":6,"node":"r1","head":8,"lag":2,"freshness":"leased"}
{"event":"gap","from":7,"to":9,"hint":"Read anew."}
{"event":"position","position":10,"token":"t","time":"2026-07-01T12:00:00Z","action":"iam:CreateUser","events":["UserCreated","PolicyAttached"]}
{"event":"position","position":11,"token":"t","time":"2026-07-01T12:00:01Z","events":["ReplicaRegistered"]}
`,
	} {
		var out, shown bytes.Buffer
		err := watch(t.Context(), &out, &progress{out: &shown, width: 80}, c, &shell.Output{Format: format}, "6")
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, &out)
		}
		if format == "text" && !strings.Contains(shown.String(), "r1 at position 6, 2 behind (leased)") {
			t.Errorf("shown is %q", shown.String())
		}
	}
}
