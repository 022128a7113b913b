package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/federation/issuertest"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/test/doors"
)

// program is a proxy that has an example which asks a node.
type program struct {
	name  string
	files []string // of its example, the one that it is given first
	args  []string // before that
	log   string   // where it logs; "" for its output
}

var programs = []program{
	{"nginx", []string{"nginx/authorize.conf"}, []string{"-g", "daemon off; error_log stderr; pid nginx.pid;", "-p", ".", "-c"}, "access.log"},
	{"caddy", []string{"caddy/Caddyfile"}, []string{"run", "--adapter", "caddyfile", "--config"}, "authorize.log"},
	{"haproxy", []string{"haproxy/authorize.cfg", "haproxy/authorize.lua"}, []string{"-db", "-f"}, ""},
}

// behind is a service behind proxies: it notes what reaches it.
type behind struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // guarded by mu
}

func (b *behind) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, fmt.Sprint(r.RequestURI, " ", r.Header["X-Writ-Principal"]))
	fmt.Fprint(w, "the file")
}

// took returns what has reached the service since the last time.
func (b *behind) took() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { b.seen = nil }()
	return strings.Join(b.seen, "\n")
}

// front is a proxy that runs.
type front struct {
	program
	addr string
	dir  string
	out  *output
}

type output struct {
	t  *testing.T
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

// logged is what the proxy has logged.
func (f *front) logged() string {
	if f.log == "" {
		f.out.mu.Lock()
		defer f.out.mu.Unlock()
		return f.out.b.String()
	}
	text, err := os.ReadFile(filepath.Join(f.dir, f.log))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// run starts a proxy by its example until the test ends, and returns when it takes connections.
func (p program) run(t *testing.T, path, door, service string) *front {
	t.Helper()
	addrs, err := setup.FreeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{program: p, addr: addrs[0], dir: t.TempDir(), out: &output{t: t}}
	_, port, err := net.SplitHostPort(f.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range p.files {
		text := strings.NewReplacer("127.0.0.1:8442", door, "127.0.0.1:9000", service, "127.0.0.1:8480", f.addr, "example.com:8480", "example.com:"+port, "worker_processes auto", "worker_processes 1").
			Replace(read(t, "../../docs/deploy/"+name))
		if err := os.WriteFile(filepath.Join(f.dir, filepath.Base(name)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, append(p.args, filepath.Base(p.files[0]))...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = f.dir, f.out, f.out
	cmd.Env = append(os.Environ(), "HOME="+f.dir, "XDG_DATA_HOME="+f.dir, "XDG_CONFIG_HOME="+f.dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if p.name == "nginx" { // its workers end with it
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		<-ended
		if t.Failed() {
			t.Log(f.out.b.String())
		}
	})
	for {
		conn, err := net.Dial("tcp", f.addr)
		if err == nil {
			conn.Close()
			return f
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the proxy ended: %v\n%s", err, f.out.b.String())
		default:
		}
	}
}

// ask sends a request as it stands, since http.Client would clean its path.
func (f *front) ask(ctx context.Context, method, target string, headers ...string) (status int, answer string, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", f.addr)
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: files.example.com\r\nConnection: close\r\n%s\r\n", method, target, strings.Join(append(headers, ""), "\r\n"))
	r, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	var b strings.Builder
	if err := r.Header.Write(&b); err != nil {
		return 0, "", err
	}
	return r.StatusCode, b.String() + string(body), err
}

// The examples for proxies, run: what is allowed reaches the service with who it is, what is denied
// does not, with the reason in the log and not in the answer. A replica that is cut off allows
// nothing after its lease, and neither does a node that is down.
func TestAuthorizingProxies(t *testing.T) {
	var running []*front
	service := &behind{}
	service.Server = httptest.NewServer(service)
	defer service.Close()
	issuer := issuertest.New(t, "https://login.example.com")
	mapping, err := filepath.Abs("../../docs/deploy/doors/files.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := doors.Start(t, strings.NewReplacer("127.0.0.1:8442", "127.0.0.1:0", "files.yaml", mapping).Replace(read(t, "../../docs/deploy/doors/proxies.yaml")))
	populate(t, p, issuer)
	for _, program := range programs {
		path, err := exec.LookPath(program.name)
		if err != nil {
			t.Run(program.name, func(t *testing.T) { t.Skipf("no %s on this machine", program.name) })
			continue
		}
		f := program.run(t, path, p.Door(0), strings.TrimPrefix(service.URL, "http://"))
		running = append(running, f)
		t.Run(program.name, func(t *testing.T) { asks(t, p, f, service, issuer) })
	}
	alice := "Authorization: Bearer " + issuer.Token(map[string]any{"sub": "alice", "aud": "files"})
	ends := func(what string, want func(status int) error) {
		for _, f := range running {
			p.Until(f.name+": "+what, func(ctx context.Context) error {
				status, _, err := f.ask(ctx, "GET", "/b/k", alice)
				return errors.Join(err, want(status))
			})
			service.took()
			status, answer, err := f.ask(t.Context(), "GET", "/b/k", alice)
			if err != nil || want(status) != nil || told(answer) || service.took() != "" {
				t.Errorf("%s, %s: %d %s, %v", f.name, what, status, answer, err)
			}
			t.Logf("%s, %s: %d", f.name, what, status)
		}
	}
	p.Stop(doors.Writer)
	ends("a replica that is cut off allows nothing", func(status int) error {
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("it is %d", status)
		}
		return nil
	})
	for _, f := range running {
		if !strings.Contains(f.logged(), "does not know that its answer is fresh") {
			t.Errorf("%s does not log that the answer is not fresh", f.name)
		}
	}
	p.Stop(doors.Replica)
	ends("a node that is down allows nothing", func(status int) error {
		if status < http.StatusInternalServerError {
			return fmt.Errorf("it is %d", status)
		}
		return nil
	})
}

// populate makes the proxy's user and alice, who may read, and has the cluster trust the issuer.
func populate(t *testing.T, p *doors.Pair, issuer *issuertest.Issuer) {
	t.Helper()
	p.User("edge", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"writ:Authorize","Resource":"*"}}`)
	p.User("alice", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}}}`)
	_, err := p.IAM.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{Url: aws.String(issuer.URL), ClientIDList: []string{"files"}, ThumbprintList: []string{issuer.Thumbprint}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: "http://" + p.Node(doors.Writer).API(), AccessKeyID: p.Root.AccessKeyID, SecretAccessKey: p.Root.SecretAccessKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetProviderKeys(t.Context(), client.ProviderKeys{Provider: p.ARN("oidc-provider/login.example.com"), Keys: issuer.KeySet()}); err != nil {
		t.Fatal(err)
	}
	p.Caught()
}

// told tells whether an answer tells a stranger what is for the log alone.
func told(answer string) bool {
	lower := strings.ToLower(answer)
	return strings.Contains(lower, "x-writ-") || strings.Contains(lower, "not authorized") || strings.Contains(lower, "arn:") || strings.Contains(lower, "fresh")
}

func asks(t *testing.T, p *doors.Pair, f *front, service *behind, issuer *issuertest.Issuer) {
	t.Helper()
	bearer := func(sub string) string {
		return "Authorization: Bearer " + issuer.Token(map[string]any{"sub": sub, "aud": "files"})
	}
	alice := bearer("alice")
	for _, c := range []struct {
		name, method, target string
		headers              []string
		status               int
		reached              string
		logged               string
	}{
		{"allowed", "GET", "/b/k", []string{alice}, 200, "/b/k [" + p.ARN("user/alice") + "]", ""},
		{"encoded as it must be", "GET", "/b/a%20%C3%A9", []string{alice}, 200, "/b/a%20%C3%A9 [" + p.ARN("user/alice") + "]", ""},
		{"with a name of the client's own", "GET", "/b/k", []string{alice, "X-Writ-Principal: root"}, 200, "/b/k [" + p.ARN("user/alice") + "]", ""},
		{"with another request's name", "GET", "/c/k", []string{alice, "X-Forwarded-Uri: /b/k", "X-Forwarded-Host: files.example.com"}, 403, "", "arn:aws:s3:::c/k"},
		{"with another host", "GET", "/b/k", []string{alice, "X-Forwarded-Host: other.example.com", "X-Forwarded-Method: DELETE", "X-Forwarded-Proto: x"}, 200, "/b/k [" + p.ARN("user/alice") + "]", ""},
		{"with another address", "GET", "/b/k", []string{alice, "X-Forwarded-For: 10.0.0.1"}, 200, "/b/k [" + p.ARN("user/alice") + "]", ""},
		{"with wishes", "GET", "/b/k", []string{alice, "X-Writ-Consistency: strict"}, 200, "/b/k [" + p.ARN("user/alice") + "]", ""},
		{"denied", "DELETE", "/b/k", []string{alice}, 403, "", "is not authorized to perform: s3:DeleteObject"},
		{"a user who is not there", "GET", "/b/k", []string{bearer("zed")}, 403, "", "does not exist"},
		{"nobody", "GET", "/b/k", nil, 401, "", "nothing by which"},
		{"a bad token", "GET", "/b/k", []string{alice + "x"}, 401, "", "not accepted"},
		{"two tokens", "GET", "/b/k", []string{alice, bearer("zed")}, 0, "", ""},
		{"up", "GET", "/c/../b/k", []string{alice}, 403, "", "dots"},
		{"up, encoded", "GET", "/c/%2e%2e/b/k", []string{alice}, 403, "", "encoding"},
		{"a slash, encoded", "GET", "/b/c%2F..%2Fk", []string{alice}, 403, "", "encoded"},
		{"two slashes", "GET", "//b/k", []string{alice}, 403, "", "empty part"},
		{"a parameter of a path", "GET", "/b/..;/c/k", []string{alice}, 403, "", "percent-encoded"},
		{"a query that no rule has", "GET", "/b/k?acl", []string{alice}, 403, "", "no rule"},
	} {
		service.took()
		status, answer, err := f.ask(t.Context(), c.method, c.target, c.headers...)
		reached := service.took()
		if err != nil || c.status != 0 && status != c.status || reached != c.reached || status < 400 && c.status == 0 || status != 200 && told(answer) {
			t.Errorf("%s: %d %s, %v; the service got %q; want %d, %q", c.name, status, answer, err, reached, c.status, c.reached)
		}
		if c.logged != "" {
			p.Until(c.name+": the log has the reason", func(context.Context) error {
				if text := f.logged(); !strings.Contains(text, c.logged) {
					return fmt.Errorf("%q is not in %s", c.logged, text)
				}
				return nil
			})
		}
	}
}
