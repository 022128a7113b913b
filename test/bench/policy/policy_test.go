package policy

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// engines are the four, and Cedar in two forms.
var engines = [...]struct {
	name  string
	build func(*World) (Engine, error)
}{
	{"writ", newWrit},
	{"cedar", newCedar},
	{"cedar-sliced", newCedarSliced},
	{"opa", newOPA},
	{"casbin", newCasbin},
}

// sizes are how many principals there are.
var sizes = [...]int{1, 1_000, 100_000}

// TestSameAnswers shows that all engines decide alike, and that the workload
// asks for both answers.
func TestSameAnswers(t *testing.T) {
	const requests = 3_000
	for _, principals := range sizes {
		t.Run(fmt.Sprintf("principals=%d", principals), func(t *testing.T) {
			w := NewWorld(principals, requests)
			var want []bool
			for _, x := range engines {
				e, err := x.build(w)
				if err != nil {
					t.Fatalf("%s: %v", x.name, err)
				}
				allowed := 0
				for i := range w.Requests {
					got := e.Allowed(i)
					if len(want) < requests {
						want = append(want, got)
					}
					if got != want[i] {
						t.Fatalf("%s answers %v, %s %v: %+v of %+v", x.name, got, engines[0].name, want[i], w.Requests[i], w.Principals[w.Requests[i].Principal])
					}
					if got {
						allowed++
					}
				}
				if allowed < requests/5 || allowed > requests*4/5 {
					t.Errorf("%s: %d of %d requests are allowed; the workload should ask for both answers", x.name, allowed, requests)
				}
			}
		})
	}
}

// BenchmarkDecide measures one decision for a principal chosen at random.
func BenchmarkDecide(b *testing.B) {
	const requests = 1 << 14
	for _, principals := range sizes {
		w := NewWorld(principals, requests)
		for _, x := range engines {
			b.Run(fmt.Sprintf("principals=%d/engine=%s", principals, x.name), func(b *testing.B) {
				e, err := x.build(w)
				if err != nil {
					b.Fatal(err)
				}
				own, err := newWrit(w)
				if err != nil {
					b.Fatal(err)
				}
				runtime.GC() // of the world before
				b.ReportAllocs()
				if _, ok := e.(*writ); !ok {
					beside(b, e, own, requests, "times-writ")
					return
				}
				for i := 0; b.Loop(); i++ {
					e.Allowed(i % requests)
				}
			})
		}
	}
}

// beside measures an engine, and how many times as long as Writ it takes. A
// machine is seldom at rest, and never the same from one minute to the next. So
// the two take turns, milliseconds each, and their ratio is of processor time,
// in all threads.
func beside(b *testing.B, e, own Engine, requests int, unit string) {
	const turn, ownTurn = 40, 1_000
	var used, ownUsed, turns int64
	i, start := 0, processorTime(b)
	for b.Loop() {
		e.Allowed(i % requests)
		if i++; i%turn != 0 {
			continue
		}
		used += processorTime(b) - start
		b.StopTimer()
		start = processorTime(b)
		for j := range ownTurn {
			own.Allowed((i/turn*ownTurn + j) % requests)
		}
		ownUsed += processorTime(b) - start
		turns++
		b.StartTimer()
		start = processorTime(b)
	}
	if turns > 0 {
		b.ReportMetric(float64(used)/turn/(float64(ownUsed)/ownTurn), unit)
	}
}

// processorTime is what this process has used of the processors, in
// nanoseconds.
func processorTime(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// BenchmarkOthers measures what statements cost Writ that cannot match a
// request: those of other services, and those of the same service with other
// actions. A principal has them beside one policy that allows the request.
// The third kind, of the same action with other resources, is not indexed, and
// here to say so.
func BenchmarkOthers(b *testing.B) {
	kinds := [...]struct{ name, action, resource string }{
		{"service", "service%d:Get*", "*"},
		{"action", "s3:Put%dObject", "*"},
		{"resource", "s3:GetObject", "arn:aws:s3:::bucket-%d/*"},
	}
	for _, kind := range kinds {
		for _, n := range []int{10, 100, 1_000, 10_000} {
			b.Run(fmt.Sprintf("other=%s/statements=%d", kind.name, n), func(b *testing.B) {
				prepared, err := writWithOthers(n, kind.action, kind.resource)
				if err != nil {
					b.Fatal(err)
				}
				r := &authz.Request{
					Principal: &authz.Principal{Account: account},
					Action:    "s3:GetObject", Resource: "arn:aws:s3:::reports/2026",
				}
				b.ReportAllocs()
				for b.Loop() {
					if !prepared.Evaluate(r).Allowed() {
						b.Fatal("denied")
					}
				}
			})
		}
	}
}

// writWithOthers prepares n Deny statements, each with a number in its action or
// resource, beside one that allows all reports. A Deny must be looked at where
// an Allow need not be.
func writWithOthers(n int, action, resource string) (*authz.Prepared, error) {
	var policies []authz.Policy
	add := func(statement string) error {
		doc, err := syntax.Parse(`{"Version": "2012-10-17", "Statement": ` + statement + `}`)
		if err == nil {
			policies = append(policies, authz.Policy{Document: policy.Compile(doc)})
		}
		return err
	}
	number := func(text string, i int) string { return strings.Replace(text, "%d", strconv.Itoa(i), 1) }
	for i := range n {
		statement := fmt.Sprintf(`{"Effect": "Deny", "Action": %q, "Resource": %q}`, number(action, i), number(resource, i))
		if err := add(statement); err != nil {
			return nil, err
		}
	}
	if err := add(`{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"}`); err != nil {
		return nil, err
	}
	return authz.Prepare(authz.Layers{Identity: []*authz.Set{authz.NewSet(policies...)}}), nil
}
