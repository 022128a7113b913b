package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// suite holds requests and signatures of AWS's published Signature Version 4
// test suite. All are signed by one key for one scope. Requests that net/http
// refuses to read (raw blanks in the path, folded headers) are left out.
var suite = []struct {
	name, method, target string
	headers              string // between Host and X-Amz-Date, as sent
	signed, body, want   string
}{
	{"get-vanilla", "GET", "/", "", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", "", "host;x-amz-date", "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{"get-vanilla-empty-query-key", "GET", "/?Param1=value1", "", "host;x-amz-date", "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{"get-vanilla-query-unreserved", "GET", "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", "host;x-amz-date", "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{"get-vanilla-utf8-query", "GET", "/?\u1234=bar", "", "host;x-amz-date", "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{"get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "", "host;x-amz-date", "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{"get-utf8", "GET", "/\u1234", "", "host;x-amz-date", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{"get-relative", "GET", "/example/..", "", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-relative-relative", "GET", "/example1/example2/../..", "", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slash", "GET", "//", "", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slash-dot-slash", "GET", "/./", "", "host;x-amz-date", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{"get-slashes", "GET", "//example//", "", "host;x-amz-date", "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
	{"get-slash-pointless-dot", "GET", "/./example", "", "host;x-amz-date", "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
	{"get-header-key-duplicate", "GET", "/", "My-Header1:value2\r\nMy-Header1:value2\r\nMy-Header1:value1\r\n", "host;my-header1;x-amz-date", "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
	{"get-header-value-order", "GET", "/", "My-Header1:value4\r\nMy-Header1:value1\r\nMy-Header1:value3\r\nMy-Header1:value2\r\n", "host;my-header1;x-amz-date", "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{"get-header-value-trim", "GET", "/", "My-Header1: value1\r\nMy-Header2: \"a   b   c\"\r\n", "host;my-header1;my-header2;x-amz-date", "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{"post-vanilla", "POST", "/", "", "host;x-amz-date", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{"post-vanilla-query", "POST", "/?Param1=value1", "", "host;x-amz-date", "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
	{"post-header-key-sort", "POST", "/", "My-Header1:value1\r\n", "host;my-header1;x-amz-date", "", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{"post-x-www-form-urlencoded", "POST", "/", "Content-Type:application/x-www-form-urlencoded\r\n", "content-type;host;x-amz-date", "Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	{"post-x-www-form-urlencoded-parameters", "POST", "/", "Content-Type:application/x-www-form-urlencoded; charset=utf8\r\n", "content-type;host;x-amz-date", "Param1=value1", "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
}

func TestPublishedSuite(t *testing.T) {
	key := DeriveKey([]byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
		Scope{Date: "20150830", Region: "us-east-1", Service: "service"})
	for _, tc := range suite {
		t.Run(tc.name, func(t *testing.T) {
			r := readRequest(t, tc.method+" "+tc.target+" HTTP/1.1\r\nHost:example.amazonaws.com\r\n"+tc.headers+
				"X-Amz-Date:20150830T123600Z\r\n"+
				"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "+
				"SignedHeaders="+tc.signed+", Signature="+tc.want+"\r\n\r\n")
			s, err := Parse(r, time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(key, sha256.Sum256([]byte(tc.body))); err != nil {
				t.Fatal(err)
			}
			testClaim(t, s, key, tc.body)
		})
	}
}

// testClaim checks that a claim holds where the signature does, and nowhere else.
func testClaim(t *testing.T, s *Signature, key SigningKey, body string) {
	t.Helper()
	good := s.Claim(sha256.Sum256([]byte(body)))
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Claim){
		"":                  func(*Claim) {},
		"no form":           func(c *Claim) { c.Canonical = nil },
		"an empty form":     func(c *Claim) { c.Canonical = [][]byte{{}} },
		"another form":      func(c *Claim) { c.Canonical = [][]byte{make([]byte, sha256.Size)} },
		"many forms":        func(c *Claim) { c.Canonical = append(c.Canonical, c.Canonical[0], c.Canonical[0]) },
		"no signature":      func(c *Claim) { c.Signature = "" },
		"another signature": func(c *Claim) { c.Signature = strings.Repeat("0", 64) },
		"another time":      func(c *Claim) { c.Timestamp = "20150830T123601Z" },
		"another scope":     func(c *Claim) { c.Scope.Region = "eu" },
	} {
		var c Claim
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		if change(&c); (c.Verify(key) == nil) != (name == "") {
			t.Errorf("%s: %v", name, c.Verify(key))
		}
	}
	if c := s.Claim(sha256.Sum256([]byte(body + "x"))); c.Verify(key) == nil {
		t.Error("a claim about another body holds")
	}
	if good.Verify(SigningKey{1}) == nil {
		t.Error("it holds for another key")
	}
	secret := func() ([]byte, error) { return []byte("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), nil }
	cache := NewKeyCache(1)
	if err := cache.VerifyClaim(&good, "1", secret); err != nil {
		t.Error(err)
	}
	if good.Signature = "0"; cache.VerifyClaim(&good, "1", secret) == nil {
		t.Error("a claim holds because an earlier one did")
	}
}

// readRequest reads a request as a server would.
func readRequest(t testing.TB, raw string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readBody(t testing.TB, r *http.Request) []byte {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func newReader(raw string) *bufio.Reader { return bufio.NewReader(strings.NewReader(raw)) }

func readAll(r *http.Request) ([]byte, error) { return io.ReadAll(r.Body) }
