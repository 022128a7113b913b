package authzen_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/test/doors"
)

// example is the scenario's fixture, as it is shipped.
const example = "../../../docs/deploy/authzen"

const token = "0123456789abcdef0123456789abcdef"

// world is the shipped example at a replica's door.
type world struct {
	*doors.Pair
	client *http.Client
	base   string
}

// run runs it.
func run(t *testing.T) *world {
	t.Helper()
	w := &world{Pair: doors.Start(t, "")}
	w.Stop(doors.Replica)
	for _, name := range []string{"mapping.yaml", "resources.yaml"} {
		w.File(name, shipped(t, name))
	}
	w.File("token", token)
	cert, key, roots := certificate(t)
	w.File("cert.pem", cert)
	w.File("key.pem", key)
	file := strings.NewReplacer("ACCOUNT", w.Account, "127.0.0.1:9443", "127.0.0.1:0").Replace(shipped(t, "doors.yaml"))
	w.Run(doors.Replica, file)
	for _, user := range []string{"alice", "bob", "records-service"} {
		w.User(user, shipped(t, user+".json"))
	}
	_, err := w.IAM.TagUser(t.Context(), &iam.TagUserInput{UserName: aws.String("bob"), Tags: []types.Tag{{Key: aws.String("role"), Value: aws.String("admin")}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Caught()
	w.base = "https://" + w.Door(0)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
	return w
}

func shipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(example, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// certificate is one of the loopback address, with its key and whom to trust for it.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(text)
	return string(text), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: hidden})), roots
}

// told is an answer.
type told struct {
	status int
	header http.Header
	body   []byte
}

// send sends a body to a path.
func (w *world) send(ctx context.Context, method, path, body string, header map[string]string) (told, error) {
	r, err := http.NewRequestWithContext(ctx, method, w.base+path, strings.NewReader(body))
	if err != nil {
		return told{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	for name, v := range header {
		r.Header.Set(name, v)
	}
	client := w.client
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return told{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return told{answer.StatusCode, answer.Header, text}, err
}

func (w *world) post(t *testing.T, path, body string) told {
	t.Helper()
	a, err := w.send(t.Context(), http.MethodPost, path, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// decisions are those of an answer: the one, or those of its evaluations.
func (a *told) decisions(t *testing.T) (one *bool, many []bool) {
	t.Helper()
	var v struct {
		Decision    *bool
		Context     map[string]any
		Evaluations []struct {
			Decision *bool
			Context  map[string]any
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	for _, e := range v.Evaluations {
		if e.Decision == nil {
			t.Errorf("an evaluation has no decision: %s", a.body)
			continue
		}
		many = append(many, *e.Decision)
	}
	return v.Decision, many
}

// found are the results of a search, as "type/id" or a name, and its page.
func (a *told) found(t *testing.T) (results []string, page map[string]any) {
	t.Helper()
	var v struct {
		Page    map[string]any
		Results *[]struct{ Type, ID, Name string }
	}
	if err := json.Unmarshal(a.body, &v); err != nil || v.Results == nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	for _, e := range *v.Results {
		if e.Name == "" {
			e.Name = e.Type + "/" + e.ID
		}
		results = append(results, e.Name)
	}
	return results, v.Page
}

// Parts of the scenario's requests.
const (
	alice    = `"subject": {"type": "user", "id": "alice"}`
	bob      = `"subject": {"type": "user", "id": "bob"}`
	admin    = `"subject": {"type": "user", "id": "bob", "properties": {"role": "admin"}}`
	read     = `"action": {"name": "read"}`
	write    = `"action": {"name": "write"}`
	record1  = `"resource": {"type": "record", "id": "record-1"}`
	record2  = `"resource": {"type": "record", "id": "record-2"}`
	active   = `"resource": {"type": "record", "id": "record-1", "properties": {"status": "active"}}`
	archived = `"resource": {"type": "record", "id": "record-2", "properties": {"status": "archived"}}`
)

func of(parts ...string) string { return "{" + strings.Join(parts, ", ") + "}" }

// one and many are the endpoints of evaluations.
const (
	one  = "/access/v1/evaluation"
	many = "/access/v1/evaluations"
)

// TestScenario goes through the certification scenario of the Authorization API 1.0, all of its
// levels, with the fixture that is shipped, at a replica. The names are the scenario's sections.
func TestScenario(t *testing.T) {
	t.Parallel()
	w := run(t)
	t.Run("evaluation", w.basic)
	t.Run("wrong", w.wrong)
	t.Run("evaluations", w.batch)
	t.Run("search", w.search)
	t.Run("pages", w.pages)
	t.Run("discovery", w.discovery)
	t.Run("stale", w.stale) // the last: it stops the writer
}

// fresh holds the headers of an answer against what every one has.
func fresh(t *testing.T, name string, a *told) {
	t.Helper()
	h := a.header
	if a.status != http.StatusOK || h.Get("Content-Type") != "application/json" || h.Get("X-Writ-Position") == "" || h.Get("X-Writ-Freshness") != "leased" || h.Get("X-Request-Id") == "" {
		t.Errorf("%s: status %d, headers %v, %s", name, a.status, h, a.body)
	}
}

func (w *world) basic(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       bool
	}{
		{"2.2.1 permit", of(alice, read, record1), true},
		{"2.2.2 deny", of(bob, write, record1), false},
		{"2.2.3 context", of(alice, read, record1, `"context": {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}`), true},
		{"2.2.4 resource properties", of(alice, write, archived), false},
		{"2.2.5 subject properties", of(admin, write, archived), true},
		{"2.2.6 action properties", of(alice, `"action": {"name": "delete", "properties": {"soft": true}}`, record1), true},
		{"2.2.7 action properties", of(alice, `"action": {"name": "delete", "properties": {"soft": false}}`, record1), false},
		{"2.2.8 more properties", `{"subject": {"type": "user", "id": "alice", "properties": {"department": "Sales", "role": "manager"}},
			"action": {"name": "read", "properties": {"method": "GET"}},
			"resource": {"type": "record", "id": "record-1", "properties": {"status": "active", "owner": "bob"}}}`, true},
		{"2.2.9 unknown fields", of(alice, read, record1, `"foo": "bar", "futureField": {"nested": true}`), true},
		{"rule 2", of(alice, write, record1), true},
		{"rule 3", of(bob, read, record1), true},
		{"rule 6, of the tags", of(bob, write, record2), true},
		{"rule 6, of another", of(`"subject": {"type": "user", "id": "alice", "properties": {"role": "admin"}}`, write, archived), true},
		{"nobody", of(`"subject": {"type": "user", "id": "nobody"}`, read, record1), false},
		{"an unknown type", of(`"subject": {"type": "spaceship", "id": "alice"}`, read, record1), false},
		{"an unknown action", of(alice, `"action": {"name": "Read"}`, record1), false},
		{"an id that no ARN has", of(alice, read, `"resource": {"type": "record", "id": "record-1 "}`), false},
		{"an unknown resource type", of(alice, read, `"resource": {"type": "recor", "id": "d/record-1"}`), false},
	} {
		for range 3 { // 2.6: it is the same each time
			a := w.post(t, one, c.body)
			fresh(t, c.name, &a)
			if got, _ := a.decisions(t); got == nil || *got != c.want {
				t.Errorf("%s: %s; want %v", c.name, a.body, c.want)
			}
		}
	}
	a, err := w.send(t.Context(), http.MethodPost, one, of(alice, read, record1), map[string]string{"X-Request-ID": "bfe9eb29-ab87", "Content-Type": "application/json; charset=utf-8"})
	if err != nil || a.status != http.StatusOK || a.header.Get("X-Request-Id") != "bfe9eb29-ab87" {
		t.Errorf("2.5.1: %d %v, %v", a.status, a.header, err)
	}
}

func (w *world) wrong(t *testing.T) {
	for _, c := range []struct{ name, path, body string }{
		{"2.4.1 no subject", one, of(read, record1)},
		{"2.4.1 no action", one, of(alice, record1)},
		{"2.4.1 no resource", one, of(alice, read)},
		{"2.4.2 no subject type", one, of(`"subject": {"id": "alice"}`, read, record1)},
		{"2.4.2 no subject id", one, of(`"subject": {"type": "user"}`, read, record1)},
		{"2.4.2 no action name", one, of(alice, `"action": {}`, record1)},
		{"2.4.2 no resource type", one, of(alice, read, `"resource": {"id": "record-1"}`)},
		{"2.4.2 no resource id", one, of(alice, read, `"resource": {"type": "record"}`)},
		{"2.4.4 no JSON", one, `{"subject": `},
		{"2.4.4 no JSON", many, `{"evaluations": [}`},
		{"2.4.5 nothing", one, ""},
		{"2.4.6 a text for a subject", one, of(`"subject": "alice"`, read, record1)},
		{"2.4.6 a number for a name", one, of(alice, `"action": {"name": 123}`, record1)},
		{"an empty id", one, of(`"subject": {"type": "user", "id": ""}`, read, record1)},
		{"a subject of null", one, of(`"subject": null`, read, record1)},
		{"two subjects", one, of(alice, bob, read, record1)},
		{"properties that are a list", one, of(`"subject": {"type": "user", "id": "alice", "properties": []}`, read, record1)},
		{"a context that is a text", one, of(alice, read, record1, `"context": "now"`)},
		{"one property in two ways", one, of(alice, read, record1, `"context": {"a.b": 1, "a": {"b": 2}}`)},
		{"a list", one, "[]"},
		{"two bodies", one, of(alice, read, record1) + of(alice, read, record1)},
		{"a surrogate", one, of(`"subject": {"type": "user", "id": "alice\ud800"}`, read, record1)},
		{"evaluations that are no list", many, of(alice, read, record1, `"evaluations": {}`)},
		{"options that are no object", many, of(alice, read, record1, `"evaluations": [{}], "options": []`)},
		{"an unknown semantic", many, of(alice, read, record1, `"evaluations": [{}], "options": {"evaluations_semantic": "maybe"}`)},
		{"a default of another type", many, of(`"subject": 1`, read, `"evaluations": [{}]`)},
		{"too many", many, of(alice, read, record1, `"evaluations": [{}`+strings.Repeat(",{}", 1000)+`]`)},
		{"3.4 nothing to evaluate", many, of(alice, read)},
		{"4.7.1 no action", searchSubject, of(`"subject": {"type": "user"}`, record1)},
		{"4.7.1 no subject", searchResource, of(read, `"resource": {"type": "record"}`)},
		{"4.7.1 no resource", searchAction, of(alice)},
		{"4.7.2 no resource id", searchSubject, of(`"subject": {"type": "user"}`, read, `"resource": {"type": "record"}`)},
		{"4.7.2 no subject id", searchResource, of(`"subject": {"type": "user"}`, read, `"resource": {"type": "record"}`)},
		{"a limit below 0", searchAction, of(alice, record1, `"page": {"limit": -1}`)},
		{"a limit that is a text", searchAction, of(alice, record1, `"page": {"limit": "1"}`)},
		{"a page that is a text", searchAction, of(alice, record1, `"page": "next"`)},
		{"a token of nobody", searchAction, of(alice, record1, `"page": {"token": "AAAA"}`)},
	} {
		refused(t, c.name, w.post(t, c.path, c.body), http.StatusBadRequest)
	}
	send := func(name string, want int, header map[string]string) {
		t.Helper()
		a, err := w.send(t.Context(), http.MethodPost, one, of(alice, read, record1), header)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, name, a, want)
		if id := header["X-Request-ID"]; id != "" && a.header.Get("X-Request-Id") != id {
			t.Errorf("%s: the request's id is %q", name, a.header.Get("X-Request-Id"))
		}
	}
	send("2.4.3 another content type", http.StatusBadRequest, map[string]string{"Content-Type": "text/plain", "X-Request-ID": "an id"})
	send("no content type", http.StatusBadRequest, map[string]string{"Content-Type": ""})
	send("another token", http.StatusUnauthorized, map[string]string{"Authorization": "Bearer " + token[1:] + "x", "X-Request-ID": "another"})
	send("no token", http.StatusUnauthorized, map[string]string{"Authorization": ""})
	refused(t, "a long body", w.post(t, one, of(alice, read, record1, `"context": {"x": "`+strings.Repeat("x", 2<<20)+`"}`)), http.StatusRequestEntityTooLarge)
}

// refused holds an answer against the form of refusals: a message, and nothing allowed.
func refused(t *testing.T, name string, a told, status int) {
	t.Helper()
	var message string
	err := json.Unmarshal(a.body, &message)
	if a.status != status || err != nil || message == "" || a.header.Get("X-Request-Id") == "" || bytes.Contains(a.body, []byte("{")) {
		t.Errorf("%s: %d %s, %v; want %d", name, a.status, a.body, err, status)
	}
	if status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: no WWW-Authenticate", name)
	}
}

func (w *world) batch(t *testing.T) {
	semantic := func(s string) string { return `"options": {"evaluations_semantic": "` + s + `", "another": 1}` }
	for _, c := range []struct {
		name, body string
		want       []bool
	}{
		{"3.2.1 defaults", of(alice, read, `"evaluations": [`+of(record1)+`,`+of(record2)+`]`), []bool{true, true}},
		{"3.2.2 in order", of(bob, record1, `"evaluations": [`+of(read)+`,`+of(write)+`]`), []bool{true, false}},
		{"3.2.3 resource properties", of(alice, write, `"evaluations": [`+of(active)+`,`+of(archived)+`]`), []bool{true, false}},
		{"3.2.4 subject properties", of(write, archived, `"evaluations": [`+of(alice)+`,`+of(admin)+`]`), []bool{false, true}},
		{"3.2.5 without defaults", of(`"evaluations": [` + of(alice, read, record1) + `,` + of(bob, write, record1) + `]`), []bool{true, false}},
		{"3.2.6 context", of(alice, read, `"context": {"time": "2025-06-27T18:03-07:00"}`,
			`"evaluations": [`+of(record1)+`,`+of(record2, `"context": {"time": "2025-06-27T19:00-07:00", "source": "batch-override"}`)+`]`), []bool{true, true}},
		{"3.2.7 identifiers of defaults", of(alice, write, `"resource": {"type": "record"}`,
			`"evaluations": [{"resource": {"id": "record-1", "properties": {"status": "active"}}},`+of(archived)+`]`), []bool{true, false}},
		{"3.2.7 properties are not of defaults", of(alice, `"action": {"name": "delete", "properties": {"soft": true}}`, record1,
			`"evaluations": [{}, {"action": {"name": "delete"}}]`), []bool{true, false}},
		{"3.4.1 one that is wrong", of(alice, read, `"evaluations": [`+of(record1)+`, {}]`), []bool{true, false}},
		{"wrong in every way", of(alice, read, record1, `"evaluations": [{"subject": "alice"}, 1, null, {"resource": {"id": " "}}, {"context": {"A": 1, "a": 2}}, {}]`),
			[]bool{false, false, false, false, false, true}},
		{"nobody", of(read, record1, `"evaluations": [{"subject": {"type": "user", "id": "nobody"}},`+of(alice)+`]`), []bool{false, true}},
		{"all", of(read, record1, semantic("execute_all"), `"evaluations": [`+of(bob)+`,`+of(bob, write)+`,`+of(alice)+`]`), []bool{true, false, true}},
		{"until one is denied", of(read, record1, semantic("deny_on_first_deny"), `"evaluations": [`+of(bob)+`,`+of(bob, write)+`,`+of(alice)+`]`), []bool{true, false}},
		{"until one is wrong", of(read, semantic("deny_on_first_deny"), `"evaluations": [{},`+of(alice, record1)+`]`), []bool{false}},
		{"until one is allowed", of(write, record1, semantic("permit_on_first_permit"), `"evaluations": [`+of(bob)+`,`+of(alice)+`,`+of(bob)+`]`), []bool{false, true}},
		{"as many as there may be", of(alice, read, record1, `"evaluations": [{}`+strings.Repeat(",{}", 999)+`]`), slices.Repeat([]bool{true}, 1000)},
	} {
		a := w.post(t, many, c.body)
		fresh(t, c.name, &a)
		if one, got := a.decisions(t); one != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s; want %v", c.name, a.body, c.want)
		}
	}
	for name, evaluations := range map[string]string{"3.4.2 without evaluations": "", "3.4.3 no evaluation": `, "evaluations": []`} {
		a := w.post(t, many, of(alice, read, record1+evaluations))
		fresh(t, name, &a)
		if one, list := a.decisions(t); one == nil || !*one || list != nil {
			t.Errorf("%s: %s", name, a.body)
		}
	}
}
