package received

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/policy"
)

// Limits of what a service hands on. All of it is one body, which has a limit as well.
const (
	// MaxHeaders is how many values of headers there may be.
	MaxHeaders = 256
	// maxMethod bounds the method of a request, in bytes.
	maxMethod = 32
)

const (
	hint    = `Send {"service": NAME, "method": ..., "path": ..., "query": ..., "headers": {"Host": [...], "Authorization": [...], ...}, "payload_hash": HEX}; docs/authenticate.md says what each is.`
	hintKey = `Send {"access_key_id": ID, "date": "YYYYMMDD", "region": ..., "service": ...}, with the session_token of temporary credentials.`
)

// own are the services whose requests are Writ's own: what is signed for them is never another's
// business. They are compared without regard to letter case.
var own = [...]string{"iam", "sts", "writ"}

// keySigningService is the condition key of the service name in a signature.
var keySigningService = policy.NewKey(policy.KeySigningService)

// Request is what a service received, as it hands it on.
type Request struct {
	// HTTP is the request, without its body. Its address and its context are not known.
	HTTP            *http.Request
	Service, Region string // that the signature must be for; an empty region is any
	Style           sigv4.Style
	// BodyHash is the SHA-256 of the body, if Hashed.
	BodyHash [sha256.Size]byte
	Hashed   bool
	// Question is about whoever signed; without an action there is none.
	Question decision.Question
}

// Members of a request beside those of a question.
const (
	hasService = decision.HasExtra << iota
	hasRegion
	hasStyle
	hasMethod
	hasPath
	hasQuery
	hasHeaders
	hasHash
)

// reading is a request as it is read.
type reading struct {
	*decision.Reader
	Request
	style, method, path, query, hash string
	header                           http.Header
	values                           int
}

// Parse reads a request that a service hands on from the body of its own. Errors are of type
// *fault.Fault.
func Parse(body []byte) (*Request, error) {
	in := &reading{header: http.Header{}}
	err := decision.Decode(body, hint, func(r *decision.Reader) error {
		in.Reader = r
		return r.QuestionAnd(&in.Question, in.member)
	})
	if err != nil {
		return nil, err
	}
	return in.complete()
}

// member reads a member that no question has.
func (in *reading) member(name string) (member int, err error) {
	var into *string
	switch name {
	case "service":
		member, into = hasService, &in.Service
	case "region":
		member, into = hasRegion, &in.Region
	case "style":
		member, into = hasStyle, &in.style
	case "method":
		member, into = hasMethod, &in.method
	case "path":
		member, into = hasPath, &in.path
	case "query":
		member, into = hasQuery, &in.query
	case "payload_hash":
		member, into = hasHash, &in.hash
	case "headers":
		return hasHeaders, in.Object(in.headerNamed)
	default:
		return 0, nil
	}
	*into, err = in.String()
	return member, err
}

// headerNamed reads the values of a header: a list, or one as a text. No name is given twice, in
// whatever letters: which of them was first is not said.
func (in *reading) headerNamed(name string) error {
	if !token(name) {
		return in.Fail("the header " + fault.Quote(name) + " has a name that no header has")
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	if _, twice := in.header[key]; twice {
		return in.Fail("the header " + fault.Quote(name) + " is given twice; give its values as a list")
	}
	in.header[key] = nil
	add := func() error {
		value, err := in.String()
		if err != nil {
			return err
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return in.Fail("the header " + fault.Quote(name) + " has a value that no header has")
		}
		if in.values++; in.values > MaxHeaders {
			return in.Fail("there are more than " + strconv.Itoa(MaxHeaders) + " headers")
		}
		in.header[key] = append(in.header[key], value)
		return nil
	}
	if in.Next() == '"' {
		return add()
	}
	return in.Array(add)
}

// token tells whether a text is one of RFC 9110, section 5.6.2, such as a header's name or a method.
func token(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return text != ""
}

// complete checks what was read, and makes a request of it.
func (in *reading) complete() (*Request, error) {
	if err := CheckService(in.Service, hint); err != nil {
		return nil, err
	}
	switch in.style {
	case shape.StyleS3:
		in.Style = sigv4.StyleS3
	case shape.StyleAWS:
	case "":
		if in.Service == "s3" {
			in.Style = sigv4.StyleS3
		}
	default:
		return nil, fault.BadRequest("Use aws or s3.", "The style is %s.", fault.Quote(in.style))
	}
	switch hosts := in.header["Host"]; {
	case in.Question.Principal != "":
		return nil, fault.BadRequest(hint, "The principal is what is found out: it cannot be given.")
	case in.Question.Action == "" && (in.Question.Explain || len(in.Question.Context) > 0 || in.Question.Resource != "*"):
		return nil, fault.BadRequest("Give the action, too.", "There is a resource, a context or explain, and no action to decide about.")
	case !token(in.method) || len(in.method) > maxMethod:
		return nil, fault.BadRequest(hint, "The method is none.")
	case !strings.HasPrefix(in.path, "/") || strings.ContainsAny(in.path, "?# \r\n\x00"):
		return nil, fault.BadRequest(hint, "The path must be as it was sent: it begins with a slash, is percent-encoded and has no query.")
	case strings.ContainsAny(in.query, "# \r\n\x00"):
		return nil, fault.BadRequest(hint, "The query must be as it was sent: percent-encoded, without the question mark.")
	case len(hosts) != 1:
		return nil, fault.BadRequest(hint, "The headers must have Host, once.")
	}
	if err := in.readHash(); err != nil {
		return nil, err
	}
	if in.Question.Action != "" {
		if err := in.Question.CheckAsked(); err != nil {
			return nil, err
		}
	}
	in.HTTP = &http.Request{
		Method: in.method, URL: &url.URL{Path: in.path, RawPath: in.path, RawQuery: in.query}, Header: in.header, Host: in.header["Host"][0], ContentLength: -1,
	}
	if length := in.header["Content-Length"]; len(length) == 1 {
		if n, err := strconv.ParseInt(length[0], 10, 64); err == nil && n >= 0 && strconv.FormatInt(n, 10) == length[0] {
			in.HTTP.ContentLength = n
		}
	}
	return &in.Request, nil
}

func (in *reading) readHash() error {
	if in.hash == "" {
		if in.Style == sigv4.StyleAWS {
			return fault.BadRequest(hint, "There is no payload_hash: give the SHA-256 of the body that came, of an empty one too.")
		}
		return nil
	}
	sum, err := hex.DecodeString(in.hash)
	if err != nil || len(sum) != len(in.BodyHash) {
		return fault.BadRequest(hint, "The payload_hash is no SHA-256 in hexadecimal.")
	}
	in.BodyHash, in.Hashed = [sha256.Size]byte(sum), true
	return nil
}

// CheckService refuses the name of a service that no signature for others has.
func CheckService(name, hint string) error {
	if !sigv4.Plain(name, sigv4.MaxService) || name == "" {
		return fault.BadRequest(hint, "The service must be the name in the credential scope of its signatures, such as s3.")
	}
	if slices.Contains(own[:], strings.ToLower(name)) {
		return fault.BadRequest("Have clients sign for the name of your service.",
			"What is signed for iam, sts and writ is Writ's own: it is verified for nobody else.")
	}
	return nil
}

// Access is what a service must be allowed, to be told of signatures for the service of a name. The
// permission knows no resources.
func Access(action, service string, account identity.AccountID) admission.Access {
	return admission.Access{Action: action, Resource: "*", Account: account, Context: []policy.Entry{policy.Single(keySigningService, service)}}
}
