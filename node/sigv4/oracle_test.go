package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// sample is a request before it is signed.
type sample struct {
	method, path, query, body string
	header                    http.Header
	region, service, token    string
}

// drawSample draws requests on which the SDK's signer keeps to the
// specification: it neither normalises paths nor sorts by the encoded name.
func drawSample(t *rapid.T) sample {
	s := sample{
		method:  rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE"}).Draw(t, "method"),
		body:    rapid.StringN(0, 200, 400).Draw(t, "body"),
		region:  rapid.SampledFrom([]string{"", "us-east-1", "eu-central-1"}).Draw(t, "region"),
		service: rapid.SampledFrom([]string{"iam", "sts", "writ"}).Draw(t, "service"),
		token:   rapid.SampledFrom([]string{"", "FwoGZXIvYXdzEB//token+/="}).Draw(t, "token"),
		header:  http.Header{},
	}
	segment := rapid.StringMatching(`[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,6}`)
	for _, part := range rapid.SliceOfN(segment, 0, 3).Draw(t, "path") {
		s.path += "/" + url.PathEscape(part)
	}
	if s.path == "" || rapid.Bool().Draw(t, "trailing slash") {
		s.path += "/"
	}
	values := url.Values{}
	name := rapid.StringMatching(`[A-Za-z0-9._~-]{1,8}`)
	for range rapid.IntRange(0, 5).Draw(t, "pairs") {
		values.Add(name.Draw(t, "name"), rapid.StringN(0, 10, 30).Draw(t, "value"))
	}
	s.query = strings.ReplaceAll(values.Encode(), "+", "%20")
	s.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	s.header.Set("Amz-Sdk-Invocation-Id", rapid.StringMatching(`[a-f0-9]{8}`).Draw(t, "invocation"))
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		s.header.Add("X-Amz-Meta-Thing", rapid.StringMatching(`[!-~]{1,3}( {1,3}[!-~]{1,3}){0,2}`).Draw(t, "header"))
	}
	return s
}

func (s sample) request(t fataler) *http.Request {
	r, err := http.NewRequest(s.method, "http://writ.example.com:8420"+s.path+"?"+s.query, strings.NewReader(s.body))
	if err != nil {
		t.Fatalf("build request: %v", err)
	}
	r.Header = s.header.Clone()
	return r
}

func (s sample) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: s.token}
}

func (s sample) scope() Scope { return Scope{noon.Format("20060102"), s.region, s.service} }

type fataler interface{ Fatalf(string, ...any) }

// sent writes r and returns the text that a server would read.
func sent(t fataler, r *http.Request) string {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatalf("write request: %v", err)
	}
	return b.String()
}

func signHeaders(t fataler, s sample) string {
	r := s.request(t)
	hash := sha256.Sum256([]byte(s.body))
	err := v4.NewSigner().SignHTTP(r.Context(), s.credentials(), r, hex.EncodeToString(hash[:]), s.service, s.region, noon)
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return sent(t, r)
}

func presign(t fataler, s sample) string {
	s.method, s.body = "GET", ""
	r := s.request(t)
	hash := sha256.Sum256(nil)
	signed, header, err := v4.NewSigner().PresignHTTP(r.Context(), s.credentials(), r, hex.EncodeToString(hash[:]), s.service, s.region, noon)
	if err != nil {
		t.Fatalf("presign: %v", err)
	}
	out, err := http.NewRequest("GET", signed, nil)
	if err != nil {
		t.Fatalf("build presigned request: %v", err)
	}
	out.Header = header
	return sent(t, out)
}

// check does what a server does with a request.
func check(t testing.TB, raw string, scope Scope, now time.Time) error {
	r := readRequest(t, raw)
	body := readBody(t, r)
	s, err := Parse(r, now)
	if err != nil {
		return err
	}
	return s.Verify(DeriveKey([]byte(secret), scope), sha256.Sum256(body))
}

func TestAcceptsWhatTheSDKSigns(t *testing.T) {
	for name, sign := range map[string]func(fataler, sample) string{"header": signHeaders, "presigned": presign} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := drawSample(rt)
				raw := sign(rt, s)
				if err := check(t, raw, s.scope(), noon); err != nil {
					rt.Fatalf("%v\n%s", err, raw)
				}
			})
		})
	}
}

// TestRefusesWhatWasChanged changes one byte of a signed request. Whatever it
// is, the request must not verify, unless the change leaves its meaning as it
// was.
func TestRefusesWhatWasChanged(t *testing.T) {
	for name, sign := range map[string]func(fataler, sample) string{"header": signHeaders, "presigned": presign} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := drawSample(rt)
				raw := sign(rt, s)
				at := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
				to := rapid.Byte().Draw(rt, "to")
				changed := raw[:at] + string([]byte{to}) + raw[at+1:]
				r, err := http.ReadRequest(newReader(changed))
				if err != nil {
					return
				}
				body, err := readAll(r)
				if err != nil {
					return
				}
				sig, err := Parse(r, noon)
				if err != nil || sig.Verify(DeriveKey([]byte(secret), s.scope()), sha256.Sum256(body)) != nil {
					return
				}
				if was, is := meaning(t, raw), meaning(t, changed); was != is {
					rt.Fatalf("accepted with byte %d %q as %q:\n%s\n%s", at, raw[at], to, was, is)
				}
			})
		})
	}
}

// meaning is what a handler could make of the signed parts of a request, read
// with the standard library alone. The access key id is not among them: it chooses
// the key.
func meaning(t testing.TB, raw string) string {
	r := readRequest(t, raw)
	body := readBody(t, r)
	s, err := Parse(r, noon)
	if err != nil {
		t.Fatal(err)
	}
	query := r.URL.Query()
	for _, values := range query {
		slices.Sort(values)
	}
	out := []string{r.Method, path.Clean(r.URL.Path), query.Encode(), r.Host, string(body),
		fmt.Sprint(s.Scope), s.Time.String(), s.SessionToken}
	for name := range strings.SplitSeq(s.SignedHeaders, ";") {
		out = append(out, name)
		for _, value := range r.Header.Values(name) {
			out = append(out, strings.Fields(value)...)
		}
	}
	return strings.Join(out, "\n")
}

// Each part that a signature covers, changed by itself.
func TestRefusesEachPart(t *testing.T) {
	s := sample{
		method: "POST", path: "/iam/", query: "A=1&B=2&A=0", body: "Action=GetUser&Version=2010-05-08",
		region: "us-east-1", service: "iam", token: "token", header: http.Header{
			"Content-Type": {"text/plain"}, "Amz-Sdk-Invocation-Id": {"one"}, "X-Amz-Meta-Thing": {"v1", "v2"},
		},
	}
	raw := signHeaders(t, s)
	if err := check(t, raw, s.scope(), noon); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"POST ", "PUT "},
		{"/iam/", "/sts/"},
		{"/iam/", "/iam"},
		{"A=0&A=1&B=2", "A=1&A=1&B=2"},
		{"B=2", "B=2&C=3"},
		{"Host: writ", "Host: evil"},
		{"text/plain", "text/html"},
		{"Thing: v1", "Thing: v3"},
		{"Amz-Sdk-Invocation-Id: one", "Amz-Sdk-Invocation-Id: two"},
		{"X-Amz-Date: 20260701T120000Z", "X-Amz-Date: 20260701T120001Z"},
		{"Security-Token: token", "Security-Token: other"},
		{"Action=GetUser", "Action=GetRole"},
		{"/us-east-1/", "/us-east-2/"},
		{"/iam/aws4", "/sts/aws4"},
		{";host;", ";"},
	} {
		changed := strings.Replace(raw, change[0], change[1], 1)
		if changed == raw {
			t.Fatalf("%q is not in\n%s", change[0], raw)
		}
		if err := check(t, changed, s.scope(), noon); err == nil {
			t.Errorf("accepted with %q for %q", change[1], change[0])
		}
	}
	reordered := strings.Replace(raw, "A=0&A=1&B=2", "B=2&A=1&A=0", 1)
	if err := check(t, reordered, s.scope(), noon); err != nil {
		t.Errorf("another order of the query: %v", err)
	}
}

func TestRefusesUnsignedPayload(t *testing.T) {
	s := sample{method: "POST", path: "/", body: "Action=GetUser", service: "iam", region: "us-east-1",
		header: http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}}
	r := s.request(t)
	if err := v4.NewSigner().SignHTTP(r.Context(), s.credentials(), r, "UNSIGNED-PAYLOAD", s.service, s.region, noon); err != nil {
		t.Fatal(err)
	}
	if err := check(t, sent(t, r), s.scope(), noon); !errors.Is(err, ErrSignatureDoesNotMatch) {
		t.Fatalf("got %v", err)
	}
}

func TestSigner(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawSample(rt)
		signer := &Signer{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: s.token, Region: s.region, Service: s.service}
		for range 2 { // the second time the key is there
			r := s.request(rt)
			signer.Sign(r, sha256.Sum256([]byte(s.body)), noon)
			raw := sent(rt, r)
			if err := check(t, raw, s.scope(), noon); err != nil {
				rt.Fatalf("%v\n%s", err, raw)
			}
		}
	})
}
