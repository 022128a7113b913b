package extauthz_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"

	"github.com/writ-iam/writ/test/doors"
)

// bare answers as the door does, and looks at nothing.
type bare struct {
	auth.UnimplementedAuthorizationServer
}

func (bare) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	return &auth.CheckResponse{Status: &rpc.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
		Headers: []*core.HeaderValueOption{{Header: &core.HeaderValue{Key: "X-Writ-Principal", Value: "arn:aws:iam::123456789012:user/alice"}}},
	}}}, nil
}

// BenchmarkBesideBare is checks a second at a door beside those of a server that looks at nothing,
// with 64 callers on 4 connections, in alternating rounds of one run: run it with -benchtime 1x.
func BenchmarkBesideBare(b *testing.B) {
	const rounds, length = 7, 2 * time.Second
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "map.yaml"), []byte(mapping), 0o600); err != nil {
		b.Fatal(err)
	}
	p := doors.Start(b, "doors:\n- listen: 127.0.0.1:0\n  serve: {ext_authz: "+dir+"/map.yaml}\n  callers: [{anybody: true, asks_as: \"arn:aws:iam::123456789012:user/edge\"}]\n")
	p.User("edge", mayAsk)
	p.User("alice", mayRead)
	p.Caught()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer()
	auth.RegisterAuthorizationServer(s, bare{})
	go func() { _ = s.Serve(l) }()
	b.Cleanup(s.Stop)
	var rates [2][]float64
	for b.Loop() {
		for range rounds {
			for i, target := range []string{p.Door(0), l.Addr().String()} {
				rates[i] = append(rates[i], rate(b, target, length))
			}
		}
	}
	var medians [2]float64
	for i := range rates {
		slices.Sort(rates[i])
		medians[i] = rates[i][len(rates[i])/2]
	}
	b.ReportMetric(medians[0], "checks/s")
	b.ReportMetric(medians[1], "bare/s")
	b.ReportMetric(medians[0]/medians[1], "ratio")
}

// rate is how many checks a second are answered, for a time.
func rate(b *testing.B, target string, length time.Duration) float64 {
	const connections, callers = 4, 16
	var done atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range connections {
		c := dial(b, target)
		for n := range callers {
			wg.Go(func() {
				q := check("GET", "files.example.com", "/b/"+strconv.Itoa(n), "", map[string]string{
					"x-user": "alice", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", "accept": "text/html,application/xhtml+xml;q=0.9", "accept-encoding": "gzip, deflate, br",
					"x-request-id": "6a8228ff-f768-4b46-9c1d-7c37c60162cb", "x-forwarded-proto": "https", "cookie": "session=0123456789abcdef0123456789abcdef",
				})
				for time.Since(begun) < length {
					got, err := c.Check(b.Context(), q)
					if err != nil || got.GetOkResponse() == nil {
						b.Errorf("%v, %v", got, err)
						return
					}
					done.Add(1)
				}
			})
		}
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds()
}
