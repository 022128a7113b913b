package proxy_test

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge/proxy"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"/": "", "/a": "a", "/a/b.txt": "a|b.txt", "/a/": "a|/", "/a%20b": "a b", "/a%2Bb": "a+b", "/%C3%A9": "é", "/%c3%a9": "é", "/a?b=../c//": "a?b=../c//", "/a?": "a?",
		"/a%3Fb": "a?b", "/a%23": "a#", "/a@b:c": "a@b:c", "/...": "...", "/.well-known/x": ".well-known|x", "/a%2Ab": "a*b", "/$%7Bx%7D": "${x}",
	} {
		got, err := proxy.ParseTarget(raw)
		text := strings.Join(got.Segments, "|")
		if got.Slash {
			text += "|/"
		}
		if got.HasQuery {
			text += "?" + got.Query
		}
		if err != nil || text != want {
			t.Errorf("%s: %q, %v; want %q", raw, text, err, want)
		}
	}
	for _, raw := range []string{
		"", "a", "*", "http://h/a", "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/%2e%2e/a", "/a%2fb", "/a%2Fb", "/a%5Cb", `/a\b`, "/a;b", "/a%3Bb", "/a/..;/b",
		"/%61", "/a%2Db", "/a%252fb", "/a%00", "/a%0a", "/a%7F", "/a%", "/a%2", "/a%zz", "/a b", "/a+b", "/a#b", "/é", "/%ff", "/%c0%ae", "/%C2%85", "/a\x00", "/a{b}", "/a|b", "/a\"", "/<a>", "/?\x10", "/a?b c", "/a?b#c", "/a?é",
		"/" + strings.Repeat("a/", proxy.MaxSegments+1), "/" + strings.Repeat("a", proxy.MaxTarget),
	} {
		if got, err := proxy.ParseTarget(raw); err == nil {
			t.Errorf("%.60q is taken as %q", raw, got.Segments)
		}
	}
}

// FuzzParseTarget holds what is taken against what net/url reads, and that no cleaning of it would
// change it, encoded or decoded.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"/", "/a/b?c=d", "/%C3%A9/", "/a%2e%2e/", "/a/..;/b", "//a", "/%2e", "/a%252f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := proxy.ParseTarget(raw)
		if err != nil {
			return
		}
		decoded := "/" + strings.Join(got.Segments, "/")
		if got.Slash {
			decoded += "/"
		}
		u, err := url.ParseRequestURI(raw)
		if err != nil || u.Path != decoded || u.RawQuery != got.Query {
			t.Fatalf("%q is %q with the query %q, and to net/url %v, %v", raw, decoded, got.Query, u, err)
		}
		for _, form := range []string{decoded, raw[:len(raw)-len(u.RawQuery)]} {
			form = strings.TrimSuffix(form, "?")
			if clean := path.Clean(form); clean != form && clean+"/" != form {
				t.Fatalf("%q is not clean: %q", form, clean)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]map[string]string{
		"acl": {"acl": ""}, "prefix=a/b": {"prefix": "a/b"}, "a=1&b=%20": {"a": "1", "b": " "}, "a=b=c": {"a": "b=c"}, "a=%26": {"a": "&"},
		"a=1&a=2": nil, "a=1&%61=2": nil, "": nil, "a&&b": nil, "a;b": nil, "a=%": nil, "a=%zz": nil, "=1": nil, "a=b+c": nil, "a=%00": nil, "a=%ff": nil,
		strings.Repeat("a&", proxy.MaxParameters): nil,
	} {
		if got := proxy.Parameters(raw); !maps.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%.40q is %v, want %v", raw, got, want)
		}
	}
}

// FuzzParameters holds what is taken against what net/url reads.
func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"a=b&c", "a=%20", "a&a", "a;b", "%", "a=+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := proxy.Parameters(raw)
		if got == nil {
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil || len(want) != len(got) {
			t.Fatalf("%q is %v, and to net/url %v, %v", raw, got, want, err)
		}
		for name, values := range want {
			if !slices.Equal(values, []string{got[name]}) {
				t.Fatalf("%q has %q for %q, and to net/url %q", raw, got[name], name, values)
			}
		}
	})
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"a.example": "a.example", "A.Example:8443": "a.example", "10.0.0.1:1": "10.0.0.1", "localhost": "localhost",
		"": "", ":80": "", "a:": "", "a:x": "", "a.": "", "a..b": "", "[::1]:80": "", "a/b": "", "a@b": "", "a b": "", "*.a": "", "a,b": "", "a:1:2": "", strings.Repeat("a", 300): "",
	} {
		if got := proxy.HostOf(raw); got != want {
			t.Errorf("%q is %q, want %q", raw, got, want)
		}
	}
}

func TestCommonName(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"CN=alice": "alice", "CN=alice,O=Example": "alice", "O=Example, CN=alice": "alice", "cn=alice,OU=x": "alice",
		"": "", "O=Example": "", "CN=": "", "CN=a,CN=b": "", "CN=a+O=b": "", `CN=a\,CN=b`: "", `CN="a"`: "", "CN=#04": "", "/CN=alice": "", "alice": "", "O=x/CN=alice": "", "CN=a,": "", "O=CN=alice": "",
	} {
		if got := proxy.CommonName(subject); got != want {
			t.Errorf("%q is %q, want %q", subject, got, want)
		}
	}
}

// FuzzCommonName: what is taken stands in the subject, behind CN=.
func FuzzCommonName(f *testing.F) {
	for _, seed := range []string{"CN=alice,O=x", `CN=a\,b`, "CN=a,CN=b", "/CN=a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		cn := proxy.CommonName(subject)
		if cn == "" {
			return
		}
		if upper := strings.ToUpper(subject); strings.Count(upper, "CN=") != 1 && !strings.Contains(upper, "CN=") || strings.ContainsAny(cn, ",=+\\\"") {
			t.Fatalf("%q has the name %q", subject, cn)
		}
	})
}
