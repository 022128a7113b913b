package sigv4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// signed is a signature of a GET by an access key in a region.
func signed(t testing.TB, id, secret, region string) *Signature {
	t.Helper()
	r := readRequest(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	s := &Signer{AccessKeyID: id, SecretAccessKey: secret, Region: region, Service: "iam"}
	s.Sign(r, sha256.Sum256(nil), noon)
	sig, err := Parse(r, noon)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestKeyCache(t *testing.T) {
	cache := NewKeyCache(2)
	asked := 0
	verify := func(id, secretID, secret string) {
		t.Helper()
		err := cache.Verify(signed(t, id, secret, ""), sha256.Sum256(nil), secretID, func() ([]byte, error) { asked++; return []byte(secret), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	verify("AKID", "1", "one")
	if verify("AKID", "1", "one"); asked != 1 {
		t.Fatalf("asked %d times", asked)
	}
	if verify("AKID", "2", "two"); asked != 2 {
		t.Fatal("a replaced secret got the old key")
	}
	for i := range 100 {
		verify(fmt.Sprint("other", i), "1", "x")
		verify("AKID", "1", "one")
	}
	if asked != 102 {
		t.Errorf("asked %d times: the key in use was forgotten", asked)
	}
	if n, _ := cache.Size(); n > 4 {
		t.Errorf("%d keys held", n)
	}
	broken := errors.New("sealed")
	if err := cache.Verify(signed(t, "new", "x", ""), sha256.Sum256(nil), "", func() ([]byte, error) { return nil, broken }); err != broken {
		t.Errorf("got %v", err)
	}
}

// What does not verify leaves nothing behind, whatever it claims.
func TestKeyCacheRemembersWhatVerified(t *testing.T) {
	cache := NewKeyCache(1000)
	for i := range 1000 {
		sig := signed(t, "AKID", "wrong", fmt.Sprint("region-", i))
		err := cache.Verify(sig, sha256.Sum256(nil), "1", func() ([]byte, error) { return []byte("right"), nil })
		if !errors.Is(err, ErrSignatureDoesNotMatch) {
			t.Fatal(err)
		}
	}
	if n, size := cache.Size(); n != 0 || size != 0 {
		t.Errorf("%d keys, %d bytes are held of signatures that did not verify", n, size)
	}
	// also where another signature by the same key has verified
	right := func() ([]byte, error) { return []byte("right"), nil }
	if err := cache.Verify(signed(t, "AKID", "right", "eu"), sha256.Sum256(nil), "1", right); err != nil {
		t.Fatal(err)
	}
	if err := cache.Verify(signed(t, "AKID", "wrong", "eu"), sha256.Sum256(nil), "1", right); !errors.Is(err, ErrSignatureDoesNotMatch) {
		t.Error(err)
	}
	if n, size := cache.Size(); n != 1 || size > maxKeySize {
		t.Errorf("%d keys, %d bytes", n, size)
	}
}

// One access key holds few places however it signs, and takes none from others.
func TestKeyCacheShare(t *testing.T) {
	const others = 100
	cache := NewKeyCache(2 * others)
	asked := 0
	verify := func(id, region string) {
		err := cache.Verify(signed(t, id, id, region), sha256.Sum256(nil), "1", func() ([]byte, error) { asked++; return []byte(id), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range others {
		verify(fmt.Sprint("other-", i), "eu")
	}
	for i := range 10 * others {
		verify("greedy", fmt.Sprint("region-", i))
	}
	if n, size := cache.Size(); n != others+keysPerAccessKey || size > n*maxKeySize {
		t.Errorf("%d keys, %d bytes", n, size)
	}
	asked = 0
	for i := range others {
		verify(fmt.Sprint("other-", i), "eu")
	}
	if asked != 0 {
		t.Errorf("%d keys of others were forgotten", asked)
	}
	// what is taken out is no longer counted
	count, bytes := 0, 0
	for id, list := range cache.recent.keys {
		for i := range list {
			count, bytes = count+1, bytes+list[i].size(id)
		}
	}
	if n, size := cache.Size(); n != count || size != bytes {
		t.Errorf("%d keys and %d bytes are counted, %d and %d held", n, size, count, bytes)
	}
	if err := cache.Verify(signed(t, "long", "long", ""), sha256.Sum256(nil), strings.Repeat("x", maxKeySize), func() ([]byte, error) { return []byte("long"), nil }); err != nil {
		t.Error(err)
	}
	if n, _ := cache.Size(); n != count {
		t.Error("a key of any size is held")
	}
}

// Many at once: the counts stay true.
func TestKeyCacheRaced(t *testing.T) {
	cache := NewKeyCache(20)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				id := fmt.Sprint("key-", (i+j)%30)
				err := cache.Verify(signed(t, id, id, fmt.Sprint("r", j%12)), sha256.Sum256(nil), "1", func() ([]byte, error) { return []byte(id), nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, size := cache.Size(); n > 40 || size > n*maxKeySize {
		t.Errorf("%d keys, %d bytes", n, size)
	}
}

// Each part of a credential is bounded, also where nothing is known of its key.
func TestCredentialBounds(t *testing.T) {
	const good = "AKID/20260701/us-east-1/iam/aws4_request"
	for _, c := range []struct {
		name, credential, code string
	}{
		{"as it should be", good, ""},
		{"no region", "AKID/20260701//iam/aws4_request", ""},
		{"longest", strings.Repeat("A", MaxAccessKeyID) + "/20260701/" + strings.Repeat("r", MaxRegion) + "/" + strings.Repeat("s", MaxService) + "/aws4_request", ""},
		{"long key", strings.Repeat("A", MaxAccessKeyID+1) + "/20260701/us-east-1/iam/aws4_request", CodeInvalidClientTokenID},
		{"no key", "/20260701/us-east-1/iam/aws4_request", CodeInvalidClientTokenID},
		{"odd key", "AK%ID/20260701/us-east-1/iam/aws4_request", CodeInvalidClientTokenID},
		{"long region", "AKID/20260701/" + strings.Repeat("r", MaxRegion+1) + "/iam/aws4_request", CodeSignatureDoesNotMatch},
		{"60 KB region", "AKID/20260701/" + strings.Repeat("r", 60<<10) + "/iam/aws4_request", CodeSignatureDoesNotMatch},
		{"odd region", "AKID/20260701/us\teast/iam/aws4_request", CodeSignatureDoesNotMatch},
		{"region of other letters", "AKID/20260701/é/iam/aws4_request", CodeSignatureDoesNotMatch},
		{"long service", "AKID/20260701/us-east-1/" + strings.Repeat("s", MaxService+1) + "/aws4_request", CodeSignatureDoesNotMatch},
		{"no service", "AKID/20260701/us-east-1//aws4_request", CodeSignatureDoesNotMatch},
		{"long date", "AKID/20260701" + strings.Repeat("0", 60<<10) + "/us-east-1/iam/aws4_request", CodeSignatureDoesNotMatch},
		{"long terminator", good + strings.Repeat("x", 60<<10), CodeSignatureDoesNotMatch},
		{"long and shapeless", strings.Repeat("x", 60<<10), CodeIncompleteSignature},
	} {
		r := readRequest(t, request("X-Amz-Date: 20260701T120000Z", "Authorization: x"))
		r.Header[headerAuthorization] = []string{"AWS4-HMAC-SHA256 Credential=" + c.credential + ",SignedHeaders=host,Signature=" + goodSignature}
		q := readRequest(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		v := q.URL.Query()
		for name, value := range map[string]string{
			queryAlgorithm: algorithm, queryCredential: c.credential, queryDate: "20260701T120000Z", querySignedHeaders: "host", querySignature: goodSignature,
		} {
			v.Set(name, value)
		}
		q.URL.RawQuery = v.Encode()
		for kind, r := range map[string]*http.Request{"header": r, "presigned": q} {
			_, err := Parse(r, noon)
			var e *Error
			switch {
			case c.code == "" && err != nil:
				t.Errorf("%s, %s: %v", c.name, kind, err)
			case c.code != "" && (!errors.As(err, &e) || e.Code != c.code || len(e.Message) > 2<<10):
				t.Errorf("%s, %s: %.300v", c.name, kind, err)
			}
		}
	}
}

// Whatever is sent, nothing that did not verify is remembered, and what is accepted
// for parsing is bounded.
func FuzzKeyCache(f *testing.F) {
	f.Add("AKID", "us-east-1", "iam", "secret")
	f.Add("AKID", strings.Repeat("r", 1<<10), "iam", "other")
	cache := NewKeyCache(64)
	f.Fuzz(func(t *testing.T, id, region, service, secret string) {
		r := readRequest(t, request("X-Amz-Date: 20260701T120000Z"))
		s := &Signer{AccessKeyID: id, SecretAccessKey: secret, Region: region, Service: service}
		s.Sign(r, sha256.Sum256(nil), noon)
		sig, err := Parse(r, noon)
		if err != nil {
			return
		}
		if len(sig.AccessKeyID) > MaxAccessKeyID || len(sig.Scope.Region) > MaxRegion || len(sig.Scope.Service) > MaxService || len(sig.Scope.Date) != dateLen {
			t.Fatalf("the scope is %+v", sig)
		}
		before, _ := cache.Size()
		err = cache.Verify(sig, sha256.Sum256(nil), "1", func() ([]byte, error) { return []byte("secret"), nil })
		n, size := cache.Size()
		if err != nil && n != before || n > 2*64 || size > n*maxKeySize {
			t.Fatalf("%v: %d keys, then %d in %d bytes", err, before, n, size)
		}
	})
}
