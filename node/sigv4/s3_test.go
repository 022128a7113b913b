package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The examples of "Signature Calculations for the Authorization Header" and of "Authenticating
// Requests: Using Query Parameters" in the Amazon S3 API Reference.
func TestS3Examples(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	day := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	key := DeriveKey([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), Scope{"20130524", "us-east-1", "s3"})
	const credential = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	for name, c := range map[string]struct {
		method, target, signed, signature string
		header                            map[string]string
		payload                           Payload
	}{
		"get": {"GET", "/test.txt", "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
			map[string]string{"Range": "bytes=0-9", "x-amz-content-sha256": empty}, PayloadHashed},
		"put": {"PUT", "/test%24file.text", "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			map[string]string{"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY", "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}, PayloadHashed},
		"lifecycle": {"GET", "/?lifecycle", "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
			map[string]string{"x-amz-content-sha256": empty}, PayloadHashed},
		"list": {"GET", "/?max-keys=2&prefix=J", "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
			map[string]string{"x-amz-content-sha256": empty}, PayloadHashed},
		"presigned": {"GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
			"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
			"", "", nil, PayloadUnsigned},
	} {
		r := httptest.NewRequest(c.method, "http://examplebucket.s3.amazonaws.com"+c.target, http.NoBody)
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		if c.signed != "" {
			r.Header.Set("X-Amz-Date", "20130524T000000Z")
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 "+credential+"SignedHeaders="+c.signed+",Signature="+c.signature)
		}
		s, err := ParseAs(r, day.Add(time.Minute), StyleS3)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Verify(key, [sha256.Size]byte{}); err != nil || s.Payload != c.payload {
			t.Errorf("%s: %v, payload %d", name, err, s.Payload)
		}
		if want := c.header["x-amz-content-sha256"]; want != "" && hex.EncodeToString(s.PayloadSHA256[:]) != want {
			t.Errorf("%s: the body's hash is %x", name, s.PayloadSHA256)
		}
		claim := s.Claim([sha256.Size]byte{})
		if err := claim.Verify(key); err != nil {
			t.Errorf("%s: the claim: %v", name, err)
		}
		r.Method = "DELETE"
		if err := s.Verify(key, [sha256.Size]byte{}); !errors.Is(err, ErrSignatureDoesNotMatch) {
			t.Errorf("%s with another method: %v", name, err)
		}
	}
}

func TestPathOnce(t *testing.T) {
	for sent, want := range map[string]string{
		"": "/", "/": "/", "/a//b/./../c/": "/a//b/./../c/", "/a%2fb": "/a%2Fb", "/a+b": "/a%2Bb", "/%7Ea~": "/~a~", "/%zz": "/%25zz", "/ä": "/%C3%A4",
	} {
		if got := string(appendPathOnce(nil, sent)); got != want {
			t.Errorf("%s: %s, not %s", sent, got, want)
		}
	}
}

// What is signed of the body is said once, and is something.
func TestS3Payload(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	for name, said := range map[string][]string{
		"nothing": nil, "twice": {empty, empty}, "upper case": {"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"}, "short": {"e3b0"}, "empty": {""},
		"another algorithm": {"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"},
	} {
		r := httptest.NewRequest("PUT", "http://b.test/k", http.NoBody)
		r.Header["X-Amz-Content-Sha256"] = said
		r.Header.Set("X-Amz-Date", "20130524T000000Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-date;x-amz-content-sha256,Signature=00")
		var e *Error
		if _, err := ParseAs(r, now, StyleS3); !errors.As(err, &e) || e.Code != CodeIncompleteSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
}
