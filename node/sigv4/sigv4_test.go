package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const goodSignature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"

func request(lines ...string) string {
	return "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func presigned(query string) string { return "GET /?" + query + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func TestRefusals(t *testing.T) {
	const (
		date = "X-Amz-Date: 20260701T120000Z"
		auth = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260701/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=" + goodSignature
		q    = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260701%2F%2Fsts%2Faws4_request&X-Amz-Date=20260701T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=" + goodSignature
	)
	for _, tc := range []struct {
		name, raw string
		at        time.Time
		code      string
		status    int
		message   string // a part of it
	}{
		{"unsigned", request(date), noon, "MissingAuthenticationToken", 403, "Request is missing Authentication Token"},
		{"unsigned with query", presigned("Action=GetUser"), noon, "MissingAuthenticationToken", 403, "Request is missing Authentication Token"},
		{"bearer", request(date, "Authorization: Bearer sesame"), noon, "IncompleteSignature", 400,
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed with SHA-256 and encoded with Base64) Authorization="},
		{"no date", request(auth), noon, "IncompleteSignature", 400, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. (Hashed"},
		{"other algorithm", request(date, "Authorization: AWS4-ECDSA-P256-SHA256 Credential=x"), noon, "IncompleteSignature", 400, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."},
		{"blank before the key", request(date, strings.Replace(auth, "=AKID", "= AKID", 1)), noon, "IncompleteSignature", 400, "Invalid key=value pair (missing equal-sign) in Authorization header (hashed"},
		{"no signature", request(date, strings.Replace(auth, ", Signature="+goodSignature, "", 1)), noon, "IncompleteSignature", 400, "Authorization header requires 'Signature' parameter. (Hashed"},
		{"two credentials", request(date, auth+", Credential=x/20260701/r/s/aws4_request"), noon, "IncompleteSignature", 400, "more than once"},
		{"two headers", request(date, auth, auth), noon, "IncompleteSignature", 400, "Authorization header must be given once."},
		{"slash in the key", request(date, strings.Replace(auth, "AKID", "AK/ID", 1)), noon, "IncompleteSignature", 400,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AK/ID/20260701/us-east-1/iam/aws4_request'"},
		{"short scope", request(date, strings.Replace(auth, "/us-east-1", "", 1)), noon, "IncompleteSignature", 400, "exactly 5 slash-delimited elements"},
		{"terminator", request(date, strings.Replace(auth, "aws4_request", "aws4", 1)), noon, "SignatureDoesNotMatch", 403, "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'."},
		{"bad date", request("X-Amz-Date: 2026-07-01T12:00:00Z", auth), noon, "IncompleteSignature", 400, "Date must be in ISO-8601 'basic format'. Got '2026-07-01T12:00:00Z'."},
		{"date with fraction", request("X-Amz-Date: 20260701T120000.5Z", auth), noon, "IncompleteSignature", 400, "Date must be in ISO-8601"},
		{"scope of another day", request("X-Amz-Date: 20260702T000000Z", auth), noon, "SignatureDoesNotMatch", 403,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260701' != '20260702', from '20260702T000000Z'."},
		{"host not signed", request(date, strings.Replace(auth, "=host", "=x-amz-date", 1)), noon, "SignatureDoesNotMatch", 403, "'Host' or ':authority' must be a 'SignedHeader'"},
		{"expired", request(date, auth), noon.Add(15*time.Minute + time.Second), "SignatureDoesNotMatch", 403,
			"Signature expired: 20260701T120000Z is now earlier than 20260701T120001Z (20260701T121501Z - 15 min.)"},
		{"not yet current", request(date, auth), noon.Add(-15*time.Minute - time.Second), "SignatureDoesNotMatch", 403,
			"Signature not yet current: 20260701T120000Z is still later than 20260701T115959Z (20260701T114459Z + 15 min.)"},
		{"wrong signature", request(date, auth), noon, "SignatureDoesNotMatch", 403,
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."},
		{"presigned, wrong signature", presigned(q), noon, "SignatureDoesNotMatch", 403, "The request signature we calculated"},
		{"presigned, pieces missing", presigned("X-Amz-Algorithm=AWS4-HMAC-SHA256"), noon, "IncompleteSignature", 400,
			"AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"presigned, no algorithm", presigned("X-Amz-Signature=a"), noon, "IncompleteSignature", 400, "must include 'X-Amz-Algorithm'."},
		{"presigned, other algorithm", presigned(strings.Replace(q, "HMAC", "ECDSA", 1)), noon, "IncompleteSignature", 400, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-SHA256'."},
		{"presigned twice", presigned(q + "&X-Amz-Signature=b"), noon, "IncompleteSignature", 400, "must include 'X-Amz-Signature' only once."},
		{"presigned, bad escape", presigned(q + "&X-Amz-Expires=%zz"), noon, "IncompleteSignature", 400, "'X-Amz-Expires' is not properly encoded."},
		{"expires in words", presigned(q + "&X-Amz-Expires=soon"), noon, "IncompleteSignature", 400, "X-Amz-Expires should be a number"},
		{"expires never", presigned(q + "&X-Amz-Expires=0"), noon, "IncompleteSignature", 400, "X-Amz-Expires must be positive"},
		{"expires too late", presigned(q + "&X-Amz-Expires=604801"), noon, "IncompleteSignature", 400, "must be less than 604800 seconds"},
		{"presigned, expired", presigned(q + "&X-Amz-Expires=90"), noon.Add(91 * time.Second), "SignatureDoesNotMatch", 403,
			"Signature expired: 20260701T120000Z is now earlier than 20260701T120001Z (20260701T120131Z - 90 sec.)"},
		{"presigned, expired by default", presigned(q), noon.Add(15*time.Minute + time.Second), "SignatureDoesNotMatch", 403, "Signature expired"},
		{"presigned, not yet current", presigned(q + "&X-Amz-Expires=604800"), noon.Add(-16 * time.Minute), "SignatureDoesNotMatch", 403, "Signature not yet current"},
		{"too many pairs", presigned(q + strings.Repeat("&a=b", MaxQueryPairs)), noon, "IncompleteSignature", 400, "Too many query-string parameters."},
		{"presigned, and a header", "GET /?" + q + " HTTP/1.1\r\nHost: h\r\n" + date + "\r\n" + auth + "\r\n\r\n", noon, "IncompleteSignature", 400, "not by both."},
		{"presigned but for the signature, which is in the header", "GET /?" + strings.Replace(q, "&X-Amz-Signature="+goodSignature, "", 1) + " HTTP/1.1\r\nHost: h\r\n" + date + "\r\n" + auth + "\r\n\r\n", noon, "IncompleteSignature", 400, "not by both."},
		{"an expiry with an encoded name, and a header", "GET /?X%2DAmz%2dExpires=60 HTTP/1.1\r\nHost: h\r\n" + date + "\r\n" + auth + "\r\n\r\n", noon, "IncompleteSignature", 400, "not by both."},
		{"presigned, expired by an encoded name", presigned(q + "&X%2DAmz-Expires=90"), noon.Add(91 * time.Second), "SignatureDoesNotMatch", 403, "Signature expired"},
		{"presigned, one name encoded and given again", presigned(q + "&X%2DAmz-Date=20260701T120000Z"), noon, "IncompleteSignature", 400, "must include 'X-Amz-Date' only once."},
		{"a header twice", request(date, strings.Replace(auth, "=host", "=host;x-amz-date;x-amz-date", 1)), noon, "IncompleteSignature", 400, "'SignedHeaders' must name each header once."},
		{"a header twice, apart", request(date, strings.Replace(auth, "=host", "=x-amz-date;host;x-amz-date", 1)), noon, "IncompleteSignature", 400, "'SignedHeaders' must name each header once."},
		{"out of order, wrong signature", request(date, strings.Replace(auth, "=host", "=x-amz-date;host", 1)), noon, "SignatureDoesNotMatch", 403, "The request signature we calculated"},
		{"too many headers", request(date, strings.Replace(auth, "=host", "=host"+strings.Repeat(";a", MaxSignedHeaders), 1)), noon, "IncompleteSignature", 400, "Too many 'SignedHeaders'."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := check(t, tc.raw, Scope{Date: "20260701", Region: "us-east-1", Service: "iam"}, tc.at)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Code != tc.code || e.Status != tc.status || !strings.Contains(e.Message, tc.message) {
				t.Errorf("got %d %v", e.Status, e)
			}
			if strings.Contains(e.Message, "sesame") {
				t.Error("the message repeats the header")
			}
		})
	}
}

// Finding a signature wrong takes memory in proportion to the request, whatever it
// says is signed.
func TestWrongSignaturesAreCheap(t *testing.T) {
	const size = 30_000
	names := []string{"host", "x-amz-date", "x-big"}
	for i := range MaxSignedHeaders - len(names) {
		names = append(names, fmt.Sprintf("x-big-%d", i))
	}
	for name, signed := range map[string][]string{"many": names, "one again and again": append(slices.Clone(names[:2]), slices.Repeat(names[2:3], MaxSignedHeaders-2)...)} {
		raw := request("X-Amz-Date: 20260701T120000Z", "X-Big: "+strings.Repeat("b", size),
			"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260701/us-east-1/iam/aws4_request, SignedHeaders="+strings.Join(signed, ";")+", Signature="+goodSignature)
		var before, after runtime.MemStats
		const times = 20
		var r [times]*http.Request
		for i := range r {
			r[i] = readRequest(t, raw)
		}
		runtime.ReadMemStats(&before)
		for i := range r {
			sig, err := Parse(r[i], noon)
			if err == nil {
				err = sig.Verify(DeriveKey([]byte("secret"), Scope{Date: "20260701", Region: "us-east-1", Service: "iam"}), [32]byte{})
			}
			if err == nil {
				t.Fatalf("%s: the signature is right", name)
			}
		}
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) / times; used > 8*size {
			t.Errorf("%s: a wrong signature of %d bytes takes %d", name, len(raw), used)
		}
	}
}

// The bounds themselves are inside.
func TestTimeBounds(t *testing.T) {
	s := sample{method: "GET", path: "/", service: "sts", header: http.Header{}}
	raw := signHeaders(t, s)
	for _, at := range []time.Time{noon.Add(MaxClockSkew), noon.Add(-MaxClockSkew)} {
		if err := check(t, raw, s.scope(), at); err != nil {
			t.Errorf("at %v: %v", at, err)
		}
	}
	s.query = "X-Amz-Expires=604800"
	raw = presign(t, s)
	for _, at := range []time.Time{noon.Add(MaxExpires), noon.Add(-MaxClockSkew)} {
		if err := check(t, raw, s.scope(), at); err != nil {
			t.Errorf("presigned, at %v: %v", at, err)
		}
	}
}

// A signer without X-Amz-Date signs the Date header, whose time enters the
// string to sign in ISO form.
func TestDateHeader(t *testing.T) {
	r := readRequest(t, request("Date: Wed, 01 Jul 2026 12:00:00 GMT",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260701//iam/aws4_request,SignedHeaders=date;host,Signature=x"))
	s, err := Parse(r, noon)
	if err != nil {
		t.Fatal(err)
	}
	if s.timestamp != "20260701T120000Z" || !s.Time.Equal(noon) || !s.Signs("date") || s.Signs("x-amz-date") {
		t.Errorf("got %+v", s)
	}
}

func TestCheckService(t *testing.T) {
	s := &Signature{Scope: Scope{Service: "s3"}}
	if err := s.CheckService("iam", "s3"); err != nil {
		t.Error(err)
	}
	want := "SignatureDoesNotMatch: Credential should be scoped to correct service: 'iam', 'sts'."
	if err := s.CheckService("iam", "sts"); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range suite {
		f.Add(tc.method+" "+tc.target+" HTTP/1.1\r\nHost:example.amazonaws.com\r\n"+tc.headers+"X-Amz-Date:20150830T123600Z\r\n"+
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="+tc.signed+
			", Signature="+tc.want+"\r\n\r\n", "a=b&a&c=%41+")
	}
	f.Fuzz(func(t *testing.T, raw, query string) {
		once := appendCanonicalQuery(nil, query, false)
		if twice := appendCanonicalQuery(nil, string(once), false); !bytes.Equal(once, twice) {
			t.Fatalf("%q is canonically %q and then %q", query, once, twice)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		s, err := Parse(r, time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
		if err != nil {
			if e := (*Error)(nil); !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if s.Verify(SigningKey{1}, sha256.Sum256(nil)) == nil {
			t.Fatal("verified by a key that signed nothing")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := sample{method: "POST", path: "/", body: "Action=CreateUser&UserName=alice&Version=2010-05-08", region: "us-east-1", service: "iam",
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}, "User-Agent": {"bench"}}}
	r := readRequest(b, signHeaders(b, s))
	body := readBody(b, r)
	cache := NewKeyCache(1000)
	secretOf := func() ([]byte, error) { return []byte(secret), nil }
	b.ReportAllocs()
	for b.Loop() {
		sig, err := Parse(r, noon)
		if err != nil {
			b.Fatal(err)
		}
		if err := cache.Verify(sig, sha256.Sum256(body), "sealed", secretOf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPresigned(b *testing.B) {
	s := sample{method: "GET", path: "/", query: "Action=GetCallerIdentity&Version=2011-06-15", region: "us-east-1", service: "sts", header: http.Header{}}
	r := readRequest(b, presign(b, s))
	key := DeriveKey([]byte(secret), s.scope())
	b.ReportAllocs()
	for b.Loop() {
		sig, err := Parse(r, noon)
		if err != nil {
			b.Fatal(err)
		}
		if err := sig.Verify(key, sha256.Sum256(nil)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := sample{method: "POST", path: "/", body: "Action=CreateUser&UserName=alice&Version=2010-05-08", header: http.Header{"Content-Type": {"application/json"}}}
	r := s.request(b)
	signer := &Signer{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, Service: "writ"}
	hash := sha256.Sum256([]byte(s.body))
	b.ReportAllocs()
	for b.Loop() {
		signer.Sign(r, hash, noon)
	}
}

// A presigned request lives as long as whoever takes it says, if that is asked for.
func TestParseFor(t *testing.T) {
	const q = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260701%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20260701T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=" + goodSignature
	for _, c := range []struct {
		raw  string
		at   time.Duration
		code string
	}{
		{presigned(q + "&X-Amz-Expires=0"), 15 * time.Minute, ""},
		{presigned(q + "&X-Amz-Expires=60"), 15 * time.Minute, ""},
		{presigned(q), 15 * time.Minute, ""},
		{presigned(q + "&X-Amz-Expires=604800"), 15*time.Minute + time.Second, "SignatureDoesNotMatch"},
		{presigned(q), -16 * time.Minute, "SignatureDoesNotMatch"},
		{presigned("a=b"), 0, "MissingAuthenticationToken"},
		{presigned(q + strings.Repeat("&a=b", MaxQueryPairs)), 0, "IncompleteSignature"},
		{"GET /?" + q + " HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\n\r\n", 0, "MissingAuthenticationToken"},
	} {
		sig, err := ParseFor(readRequest(t, c.raw), noon.Add(c.at), 15*time.Minute)
		var e *Error
		if errors.As(err, &e) != (c.code != "") || e != nil && e.Code != c.code || e == nil && !sig.Until.Equal(noon.Add(15*time.Minute)) {
			t.Errorf("%.80s after %s: %+v, %v", c.raw, c.at, sig, err)
		}
	}
}
