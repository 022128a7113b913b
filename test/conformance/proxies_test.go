package conformance

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/setup"
)

// TestProxies has clients call through the load balancers that docs/deploy has examples for:
// signatures hold, a client reads what it wrote, and goes on when a node is gone.
func TestProxies(t *testing.T) {
	for _, p := range []struct {
		name, config string
		args         []string // before the file
	}{
		{"haproxy", "haproxy/haproxy.cfg", []string{"-db", "-f"}},
		{"nginx", "nginx/nginx.conf", []string{"-g", "daemon off; error_log stderr; pid nginx.pid;", "-p", ".", "-c"}},
	} {
		t.Run(p.name, func(t *testing.T) {
			program, err := exec.LookPath(p.name)
			if err != nil {
				t.Skipf("no %s on this machine", p.name)
			}
			url := proxied(t, program, p.config, p.args)
			served := new(answers)
			api := iam.New(iam.Options{
				Region: "us-east-1", BaseEndpoint: &url, HTTPClient: served,
				Credentials: credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), ""),
			})
			for i := range 20 {
				name := aws.String(fmt.Sprintf("by-%s-%d", p.name, i))
				if _, err := api.CreateUser(t.Context(), &iam.CreateUserInput{UserName: name}); err != nil {
					t.Fatal(err)
				}
				if _, err := api.GetUser(t.Context(), &iam.GetUserInput{UserName: name}); err != nil {
					t.Errorf("read after a write: %v", err)
				}
			}
			// A writer reads strictly, a replica under its lease.
			if len(served.freshness) != 1 {
				t.Errorf("reads by one access key came from several nodes: %v", served.freshness)
			}
			killed, err := shared.Node("replica-1")
			if err != nil {
				t.Fatal(err)
			}
			if err := shared.Signal(killed.Name, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				name := aws.String(fmt.Sprintf("by-%s-%d", p.name, i))
				if _, err := api.DeleteUser(t.Context(), &iam.DeleteUserInput{UserName: name}); err != nil {
					t.Errorf("a write after a node is gone: %v", err)
				}
			}
			started := func() bool { // by writ dev
				n, err := shared.Node(killed.Name)
				return err == nil && n.PID != killed.PID && shared.Ready(t.Context(), n.Name)
			}
			for again := time.NewTicker(time.Second / 10); !started(); {
				select {
				case <-again.C:
				case <-t.Context().Done():
					t.Fatal("the replica did not come back")
				}
			}
		})
	}
}

// answers counts a client's reads by where they came from.
type answers struct{ freshness map[string]int }

func (a *answers) Do(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultClient.Do(r)
	if err == nil && answer.Header.Get("X-Writ-Freshness") != "" {
		if a.freshness == nil {
			a.freshness = map[string]int{}
		}
		a.freshness[answer.Header.Get("X-Writ-Freshness")]++
	}
	return answer, err
}

// proxied starts a proxy by an example, with the addresses of this cluster, until the test ends.
// It returns the proxy's URL when the proxy answers.
func proxied(t *testing.T, program, config string, args []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/deploy", config))
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	replace := []string{"127.0.0.1:8400", addrs[0], "worker_processes auto", "worker_processes 1"}
	for name, addr := range map[string]string{"writer-1": "127.0.0.1:8420", "replica-1": "127.0.0.1:8421"} {
		n, err := shared.Node(name)
		if err != nil {
			t.Fatal(err)
		}
		replace = append(replace, addr, strings.TrimPrefix(n.URL, "http://"))
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append(args, file)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, t.Output(), t.Output()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { <-ended })
	url := "http://" + addrs[0]
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return url
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the proxy ended: %v", err)
		default:
		}
	}
}
