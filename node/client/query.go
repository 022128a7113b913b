package client

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
)

// versions are those of the services' APIs.
var versions = map[string]string{serviceIAM: "2010-05-08", serviceSTS: "2011-06-15"}

// Result is the answer to an action of IAM or STS.
type Result struct {
	Body      []byte // XML
	RequestID string
	Position  event.Position // at which a read was answered, or a write took effect
	Token     string         // of a write; empty for a read
}

// QueryError is an error of IAM or STS.
type QueryError struct {
	Status    int
	Code      string // AWS's, such as "NoSuchEntity"
	Message   string
	RequestID string
}

// Error gives code and message.
func (e *QueryError) Error() string { return e.Code + ": " + e.Message }

// Temporary tells whether the same call may succeed a little later.
func (e *QueryError) Temporary() bool {
	return shape.TemporaryStatus(e.Status) || e.Code == "IDPCommunicationError"
}

// Query calls an action of IAM ("iam") or STS ("sts") with the parameters of the AWS
// Query protocol. Reads are strict at any node. A write takes effect at most once,
// however often it is sent; its token is remembered, see Freshness. Errors of the
// service are of type *QueryError.
func (c *Client) Query(ctx context.Context, service, action string, params url.Values) (*Result, error) {
	version, ok := versions[service]
	if !ok {
		return nil, fmt.Errorf("call %s of %q: the services are iam and sts", action, service)
	}
	form := url.Values{"Action": {action}, "Version": {version}}
	for name, values := range params {
		form[name] = values
	}
	q := newCall(http.MethodPost, "/", []byte(form.Encode()), Freshness{Consistency: "strict"})
	q.service = service
	q.header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	a, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	at, err := strconv.ParseUint(a.header.Get(shape.HeaderPosition), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s names no position: it is no node of Writ", a.from.Host)
	}
	return &Result{
		Body: a.body, RequestID: a.header.Get(shape.HeaderRequestID), Position: event.Position(at), Token: a.header.Get(shape.HeaderToken),
	}, nil
}

// queryErrorOf reads an error document of the Query protocol.
func queryErrorOf(from *url.URL, status int, h http.Header, text []byte) error {
	var doc struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}
	if xml.Unmarshal(text, &doc) != nil || doc.Code == "" {
		return &QueryError{Status: status, Code: http.StatusText(status), Message: from.Host + " gave an answer that is not of Writ."}
	}
	return &QueryError{Status: status, Code: doc.Code, Message: strings.TrimSpace(doc.Message), RequestID: h.Get(shape.HeaderRequestID)}
}
