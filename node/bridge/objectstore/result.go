package objectstore

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/bearer"
	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection/authz"
)

// arnS3 begins the ARNs of buckets.
const arnS3 = "arn:aws:s3:::"

// mapping is that of a protocol, ready once it is complete.
type mapping interface {
	bridge.Protocol
	complete(file string) error
}

// load reads a mapping; needs says that there must be one.
func load(m mapping, file, needs string) (bridge.Protocol, error) {
	if file == "" {
		return nil, fmt.Errorf("%w: %s", bridge.ErrConfig, needs)
	}
	if err := bridge.ReadFile(file, m); err != nil {
		return nil, err
	}
	return m, m.complete(file)
}

// result is the answer of a policy agent. Stores read the result alone.
type result struct {
	Result bool   `json:"result"`
	Reason string `json:"reason,omitempty"`
}

// store makes a question of a store's input; why says that it becomes none. It is called by many at
// once.
type store interface {
	question(in *bridge.Document) (q decision.Question, why string)
}

// agent is an operation that answers a store as the Open Policy Agent does.
type agent struct{ store store }

// Serve answers a call.
func (o agent) Serve(c *bridge.Call) error {
	if err := c.Begin(freshness.ForQuestion); err != nil {
		return err
	}
	d, err := bridge.ParseDocument(c.Payload)
	if err != nil {
		return err
	}
	if !d.Has("input") {
		return fault.BadRequest(`Send {"input": {...}}.`, "The body has no input.")
	}
	q, why := o.store.question(d.Object("input"))
	if err := d.Err(); err != nil {
		return err
	}
	if why != "" {
		return c.TellJSON(http.StatusOK, result{Reason: why})
	}
	allowed, answer, err := c.Allowed(&q)
	switch {
	case err != nil && fault.Of(err).Code() == fault.NoSuchPrincipal:
		return c.TellJSON(http.StatusOK, result{Reason: "the user's principal does not exist"})
	case err != nil:
		return err
	case allowed:
		return c.TellJSON(http.StatusOK, result{Result: true})
	case answer.Told(c.Seen.Flagged) == decision.Indeterminate:
		return fault.Later("The node does not know that its answer is fresh.", nil)
	}
	return c.TellJSON(http.StatusOK, result{Reason: answer.Message})
}

// Refuse answers with a fault.
func (agent) Refuse(c *bridge.Call, f *fault.Fault) {
	_ = c.TellJSON(bridge.StatusOf(f), result{Reason: f.Detail()}) // or who asked is gone
}

// checked is why a question cannot be asked; "" if it can.
func checked(q *decision.Question) string {
	for _, err := range [...]error{authz.CheckPrincipal(q.Principal), authz.CheckAction(q.Action), authz.CheckResource(q.Resource)} {
		if err != nil {
			return "the request becomes no question: " + err.Error()
		}
	}
	if strings.ContainsRune(q.Resource, utf8.RuneError) {
		return "the request's name is not Unicode"
	}
	return ""
}

// variable is the name, at the end of the ARN.
const variable = "/${name}"

// checkOwners says what is wrong with the ARN of users by their names.
func checkOwners(file, what string, arn bridge.Text) error {
	before, ok := strings.CutSuffix(arn.Value, variable)
	if !ok || strings.ContainsAny(before, "$*?") {
		return bearer.At(file, arn.Line, "%s is the ARN of users with ${name} as the last name, such as arn:aws:iam::123456789012:user/${name}", what)
	}
	return checkUser(file, what, bridge.Text{Value: before + "/xx", Line: arn.Line})
}

// checkUser says what is wrong with the ARN of a user or role.
func checkUser(file, what string, arn bridge.Text) error {
	p, err := authz.ParsePrincipal(arn.Value)
	if err == nil {
		err = authz.CheckPrincipal(arn.Value)
	}
	switch {
	case err != nil:
		return bearer.At(file, arn.Line, "%s: %v", what, err)
	case p.Type != authz.User && p.Type != authz.Role:
		return bearer.At(file, arn.Line, "%s is a user or a role", what)
	}
	return nil
}

// owner is the principal of a name; "" for what is no name.
func owner(arn, name string) string {
	before, ok := strings.CutSuffix(arn, variable)
	if !ok || name == "" || strings.ContainsAny(name, "/:*?$") {
		return ""
	}
	return before + "/" + name
}
