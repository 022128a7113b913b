package bearer_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
)

// recorded is the URL of a token of aws-iam-authenticator v0.6.13, with another key.
const recorded = "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
	"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261201%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20261201T013000Z&X-Amz-Expires=60" +
	"&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func sources(t testing.TB) *bearer.Presigned {
	t.Helper()
	s := &bearer.Sources{Presigned: &bearer.Presigned{ID: bridge.Text{Value: "prod"}, Endpoints: []bridge.Text{{Value: "https://sts.us-east-1.amazonaws.com"}}}}
	if err := s.Complete("m.yaml"); err != nil {
		t.Fatal(err)
	}
	return s.Presigned
}

func encode(text string) string {
	return bearer.Prefix + base64.RawURLEncoding.EncodeToString([]byte(text))
}

func TestRequest(t *testing.T) {
	t.Parallel()
	p := sources(t)
	r, err := p.Request(encode(recorded))
	if err != nil || r.Method != http.MethodGet || r.Host != "sts.us-east-1.amazonaws.com" || r.URL.Path != "/" || r.Header.Get("x-k8s-aws-id") != "prod" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range [][2]string{
		{"https://", "https://x@"}, {"/?", "?"}, {"/?", "//?"}, {"/?", "/%2f?"}, {"/?", "/#"}, {"amazonaws.com", "amazonaws.com:443"}, {"sts.", "STS."},
		{"Action=", "action="}, {"Action=GetCallerIdentity&", ""}, {"2011-06-15", "2012-06-15"}, {"X-Amz-Expires=60", "X-Amz-Expires=-1"}, {"X-Amz-Expires=60", "X-Amz-Expires=901"},
		{"X-Amz-Expires=60", "X-Amz-Expires=%36%30%20"}, {"&X-Amz-Expires=60", ""}, {"&X-Amz-Signature=", "&X-Amz-Signature=&x="},
		{"Version=", "Action=GetCallerIdentity&Version="}, {"Version=", "%41ction=GetCallerIdentity&Version="}, {"Version=", "a;b&Version="}, {"Version=", "%zz&Version="},
	} {
		changed := strings.Replace(recorded, c[0], c[1], 1)
		var refused *bearer.Refusal
		if r, err := p.Request(encode(changed)); !errors.As(err, &refused) || changed == recorded {
			t.Errorf("%s for %s: %+v, %v", c[1], c[0], r, err)
		}
	}
	if _, err := p.Request(encode(recorded) + "="); err == nil {
		t.Error("with padding")
	}
}

// Whatever a token is, the request that it becomes is one of GetCallerIdentity at an endpoint of the
// mapping, with the service's own identifier.
func FuzzToken(f *testing.F) {
	p := sources(f)
	f.Add(recorded)
	f.Add(strings.Replace(recorded, "/?", "/?X-Amz-Security-Token=a%2Bb&", 1))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := p.Request(encode(text))
		if err != nil {
			return
		}
		query := r.URL.Query()
		if r.Host != "sts.us-east-1.amazonaws.com" || r.URL.Path != "/" || len(query["Action"]) != 1 || query.Get("Action") != "GetCallerIdentity" || len(r.Header) != 1 || r.Header.Get("X-K8s-Aws-Id") != "prod" {
			t.Errorf("%q: %+v", text, r)
		}
	})
}
