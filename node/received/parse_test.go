package received

import (
	"errors"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"service":"s3","method":"GET","path":"/b/k","query":"a=b","headers":{"Host":["b.test"],"x-amz-date":"20260701T120000Z"}}`,
		`{"service":"orders","style":"aws","region":"eu-west-1","method":"POST","path":"/","headers":{"Host":"b"},"payload_hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","action":"a:B","resource":"*","context":{"aws:SourceIp":"::1"}}`,
		`{"service":"s3","method":"PUT","path":"/%zz","query":"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0","headers":{"Host":"b","Content-Length":"3"}}`, `{}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := Parse(body)
		var said *fault.Fault
		if err != nil {
			if !errors.As(err, &said) || said.Code() != fault.InvalidRequest {
				t.Errorf("%v is no bad request", err)
			}
			return
		}
		if CheckService(in.Service, "") != nil || in.HTTP.Host == "" && len(in.HTTP.Header["Host"]) != 1 || len(in.HTTP.Header) > MaxHeaders+1+len(body) {
			t.Errorf("%+v was taken", in)
		}
		if in.Style == sigv4.StyleAWS && !in.Hashed {
			t.Error("a body without a hash was taken")
		}
		// What was taken can be asked for its signature, whatever it says.
		sig, err := sigv4.ParseAs(in.HTTP, time.Unix(0, 0), in.Style)
		if err == nil {
			claim := sig.Claim(in.BodyHash)
			if sig.Verify(sigv4.SigningKey{}, in.BodyHash) == nil != (claim.Verify(sigv4.SigningKey{}) == nil) {
				t.Error("a signature and its claim differ")
			}
		}
	})
}

// A key is for a day on which requests can have been signed that are good now, and no other: it
// would be good on its day, whatever became of the access key until then.
func TestCheckKey(t *testing.T) {
	of := func(date string, at time.Time) error {
		return checkKey(&shape.SigningKeyOf{AccessKeyID: "A", Date: date, Service: "s3"}, at)
	}
	midnight := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		date string
		at   time.Time
		ok   bool
	}{
		{"20260701", midnight, true}, {"20260702", midnight, false}, {"20260702", midnight.Add(24*time.Hour - 15*time.Minute), true},
		{"20260702", midnight.Add(24*time.Hour - 16*time.Minute), false}, {"20260624", midnight.Add(10 * time.Minute), true}, {"20260623", midnight.Add(14 * time.Minute), true},
		{"20260623", midnight.Add(24 * time.Hour), false},
	} {
		if err := of(c.date, c.at); (err == nil) != c.ok {
			t.Errorf("%s at %v: %v", c.date, c.at, err)
		}
	}
}
