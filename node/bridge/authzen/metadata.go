package authzen

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/fault"
)

// metadata tells whoever asks where the endpoints are.
type metadata struct{ mapping *mapping }

// described is the metadata. An endpoint that could find nothing is not there.
type described struct {
	DecisionPoint  string `json:"policy_decision_point"`
	Evaluation     string `json:"access_evaluation_endpoint"`
	Evaluations    string `json:"access_evaluations_endpoint"`
	SearchSubject  string `json:"search_subject_endpoint"`
	SearchResource string `json:"search_resource_endpoint,omitempty"`
	SearchAction   string `json:"search_action_endpoint,omitempty"`
}

// metadataAge is how long metadata may be kept, in seconds.
const metadataAge = 300

// Serve answers a call. It asks nobody's permission: no more is told than where to ask.
func (o *metadata) Serve(c *bridge.Call) error {
	at := o.mapping.url
	if at == "" {
		var err error
		if at, err = asked(&c.Request); err != nil {
			return err
		}
	}
	d := described{DecisionPoint: at, Evaluation: at + pathEvaluation, Evaluations: at + pathEvaluations, SearchSubject: at + pathSearchSubject}
	if o.mapping.lists() {
		d.SearchResource = at + pathSearchResource
	}
	if o.mapping.actions != nil {
		d.SearchAction = at + pathSearchAction
	}
	body, err := json.Marshal(&d)
	if err != nil {
		return fmt.Errorf("encode the metadata: %w", err)
	}
	c.W.Header().Set("Cache-Control", fmt.Sprintf("max-age=%d", metadataAge))
	return write(c, body)
}

// Refuse answers with a fault.
func (o *metadata) Refuse(c *bridge.Call, f *fault.Fault) { refuse(c, f) }

// lists tells whether there are resources that a search could find.
func (m *mapping) lists() bool {
	for i := range m.resources {
		if len(m.resources[i].list) > 0 {
			return true
		}
	}
	return false
}

// under is the path that the decision point is under; empty without one.
func (m *mapping) under() string {
	u, err := url.Parse(m.url)
	if err != nil { // it was parsed before
		return ""
	}
	return u.Path
}

// hostLetters are those of a host and its port.
const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]"

// asked is the decision point as a request names it.
func asked(r *admission.Request) (string, error) {
	if r.Host == "" || strings.Trim(r.Host, hostLetters) != "" {
		return "", fault.BadRequest("Send the name of the decision point.", "The header Host is no name and port.")
	}
	scheme := "http://"
	if r.Secure {
		scheme = "https://"
	}
	return scheme + r.Host, nil
}
