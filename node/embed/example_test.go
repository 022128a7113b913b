package embed_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/embed"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/layout"
)

// service is the example of docs/embed.md: everything between the two lines of dashes.
func service(ctx context.Context, clusterFile, name, dir, principal string) (bool, error) {
	// ---
	replica, err := embed.Start(ctx, embed.Config{
		ClusterFile: clusterFile, Name: name, Dir: dir, // cluster.yaml, orders-1, a directory of the service
		Logger: slog.Default(), Metrics: prometheus.DefaultRegisterer,
	})
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := replica.Close(ctx); err != nil {
			slog.Error("the replica did not end in time", "error", err)
		}
	}()
	select {
	case <-replica.Ready():
	case err := <-replica.Failed():
		return false, err
	case <-ctx.Done():
		return false, ctx.Err()
	}

	sourceIP, err := embed.NewKey("aws:SourceIp") // once
	if err != nil {
		return false, err
	}
	d, err := replica.Decide(embed.Question{
		Principal: principal, Action: "orders:Ship", Resource: "arn:aws:orders:eu:123456789012:order/17",
		Context: []embed.Entry{sourceIP.Single("10.1.2.3")},
	})
	if err != nil {
		return false, err // it is no allow
	}
	slog.Info("decided", "decision", d.Outcome, "position", d.Position, "freshness", d.Freshness, "lease", d.LeaseRemaining)
	return d.Allowed(), nil
	// ---
}

// The example of the page is this one, and does what the page says.
func TestExample(t *testing.T) {
	page, err := os.ReadFile("../../docs/embed.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```go\n")
	shown, _, _ = strings.Cut(shown, "```\n")
	want := strings.Split(string(own), "\t// ---\n")[1]
	if want = strings.ReplaceAll("\n"+want, "\n\t", "\n")[1:]; shown != want {
		t.Errorf("docs/embed.md shows\n%s\nand the test runs\n%s", shown, want)
	}

	laid := layout.Cluster(t, 1, 0)
	laid.Replicas = []setup.Replica{{Name: "orders-1", Region: "eu", Class: "tight"}}
	dir, c, _ := layout.Init(t, laid)
	n, err := node.Start(t.Context(), node.Config{
		Cluster: c, Name: "writer-1", Data: filepath.Join(dir, "data", "writer-1"), API: "127.0.0.1:0", Files: setup.DefaultFiles(dir, "writer-1"), Drain: time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	root := fmt.Sprintf("arn:aws:iam::%s:root", setup.DefaultAccount)
	if allowed, err := service(ctx, filepath.Join(dir, "cluster.yaml"), "orders-1", filepath.Join(dir, "data", "orders-1"), root); err != nil || !allowed {
		t.Errorf("%v, %v", allowed, err)
	}
}

// A token of a write is waited for, and then decided from.
func ExampleReplica_DecideAt() {
	var replica *embed.Replica // of embed.Start
	allowed := func(ctx context.Context, token string, q embed.Question) (bool, error) {
		t, err := event.ParseToken(token) // X-Writ-Token of the write
		if err != nil {
			return false, err
		}
		d, err := replica.DecideAt(ctx, t, q)
		return d.Allowed(), err
	}
	_ = allowed
}
