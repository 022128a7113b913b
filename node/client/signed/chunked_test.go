package signed

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/writ-iam/writ/node/sigv4"
)

// exampleChain is that of the examples in the Amazon S3 API Reference, after a seed.
func exampleChain(seed string) *chain {
	key := sigv4.DeriveKey([]byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), sigv4.Scope{Date: "20130524", Region: "us-east-1", Service: "s3"})
	return &chain{key, "20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n", seed}
}

// example is a body in chunks with the signatures of the examples.
func example(signatures [3]string, trailers string) string {
	var b strings.Builder
	for i, n := range []int{65536, 1024, 0} {
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n", n, signatures[i])
		if n > 0 {
			b.WriteString(strings.Repeat("a", n) + "\r\n")
		}
	}
	return b.String() + trailers + "\r\n"
}

// The example of "Signature Calculations for the Authorization Header: Transferring Payload in
// Multiple Chunks".
var plain = example([3]string{
	"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
	"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
	"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
}, "")

const plainSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"

// The same with trailing headers.
var trailing = example([3]string{
	"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
	"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
	"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
}, "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n")

const trailingSeed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"

// readChunks reads a body as a guard does.
func readChunks(body io.Reader, c *chain, announced string, length int64) ([]byte, http.Header, error) {
	trailer := http.Header{}
	var list []string
	if announced != "" {
		list = []string{announced}
	}
	r, err := newChunked(body, c, announced != "", list, length, trailer)
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(r)
	return data, trailer, err
}

func TestSignedChunks(t *testing.T) {
	const length = 65536 + 1024
	want := bytes.Repeat([]byte("a"), length)
	for name, from := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader} {
		data, _, err := readChunks(from(strings.NewReader(plain)), exampleChain(plainSeed), "", length)
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
		data, trailer, err := readChunks(from(strings.NewReader(trailing)), exampleChain(trailingSeed), "x-amz-checksum-crc32c", length)
		if err != nil || !bytes.Equal(data, want) || trailer.Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
			t.Errorf("%s, with a trailer: %d bytes, %v, %v", name, len(data), trailer, err)
		}
	}
	change := func(in, old, new string) string {
		if !strings.Contains(in, old) {
			t.Fatalf("there is no %q", old)
		}
		return strings.Replace(in, old, new, 1)
	}
	for name, c := range map[string]struct {
		body, seed, announced string
		length                int64
		code                  string
	}{
		"another seed":          {plain, trailingSeed, "", length, "SignatureDoesNotMatch"},
		"another byte":          {change(plain, "\r\naaaa", "\r\nbaaa"), plainSeed, "", length, "SignatureDoesNotMatch"},
		"last signature":        {change(plain, "b6c6", "b6c7"), plainSeed, "", length, "SignatureDoesNotMatch"},
		"no signature":          {change(plain, ";chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", ""), plainSeed, "", length, "InvalidRequest"},
		"without the last":      {plain[:strings.Index(plain, "0;chunk")], plainSeed, "", length, "IncompleteBody"},
		"shorter than said":     {plain, plainSeed, "", length + 1, "IncompleteBody"},
		"longer than said":      {plain, plainSeed, "", length - 1, "IncompleteBody"},
		"more behind":           {plain + "x", plainSeed, "", length, "IncompleteBody"},
		"cut":                   {plain[:40000], plainSeed, "", length, "IncompleteBody"},
		"too long":              {"400001;chunk-signature=00\r\n", plainSeed, "", 1 << 30, "EntityTooLarge"},
		"no size":               {";chunk-signature=00\r\n", plainSeed, "", length, "InvalidRequest"},
		"a long line":           {strings.Repeat("0", 2000), plainSeed, "", length, "InvalidRequest"},
		"no trailer announced":  {trailing, trailingSeed, "", length, "InvalidRequest"},
		"another trailer":       {trailing, trailingSeed, "x-amz-checksum-crc32", length, "InvalidRequest"},
		"a trailer missing":     {trailing, trailingSeed, "x-amz-checksum-crc32c,x-amz-meta-a", length, "InvalidRequest"},
		"unsigned trailer":      {change(trailing, "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n", ""), trailingSeed, "x-amz-checksum-crc32c", length, "SignatureDoesNotMatch"},
		"another trailer value": {change(trailing, "sOO8", "sOO9"), trailingSeed, "x-amz-checksum-crc32c", length, "SignatureDoesNotMatch"},
	} {
		_, _, err := readChunks(strings.NewReader(c.body), exampleChain(c.seed), c.announced, c.length)
		var said *sigv4.Error
		if !errors.As(err, &said) || said.Code != c.code {
			t.Errorf("%s: %v, not %s", name, err, c.code)
		}
	}
}

func TestUnsignedChunks(t *testing.T) {
	sum := crc32.ChecksumIEEE([]byte("hello world"))
	crc := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	body := "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:" + crc + "\r\n\r\n"
	data, trailer, err := readChunks(iotest.HalfReader(strings.NewReader(body)), nil, "x-amz-checksum-crc32", 11)
	if err != nil || string(data) != "hello world" || trailer.Get("x-amz-checksum-crc32") != crc {
		t.Errorf("%q %v %v", data, trailer, err)
	}
	for name, change := range map[string][2]string{"another byte": {"hello", "hallo"}, "another sum": {crc, "AAAAAA=="}} {
		if _, _, err := readChunks(strings.NewReader(strings.Replace(body, change[0], change[1], 1)), nil, "x-amz-checksum-crc32", 11); !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := readChunks(strings.NewReader(body), nil, "", 11); !errors.Is(err, ErrMalformed) {
		t.Errorf("a trailer that was not announced: %v", err)
	}
	if _, _, err := readChunks(strings.NewReader(body), nil, strings.Repeat("a,", 9)+"b", 11); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many trailers: %v", err)
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte(plain), true, "", int64(66560))
	f.Add([]byte(trailing), true, "x-amz-checksum-crc32c", int64(66560))
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), false, "x-amz-checksum-crc32", int64(5))
	f.Fuzz(func(t *testing.T, body []byte, signed bool, announced string, length int64) {
		var c *chain
		if signed {
			c = exampleChain(plainSeed)
		}
		data, _, err := readChunks(bytes.NewReader(body), c, announced, length)
		if err == nil && int64(len(data)) != length {
			t.Errorf("%d bytes of %d", len(data), length)
		}
		if len(data) > len(body) {
			t.Errorf("%d bytes came of %d", len(data), len(body))
		}
	})
}
