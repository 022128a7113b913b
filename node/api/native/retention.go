package native

import (
	"encoding/json"
	"fmt"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/projection"
)

// getRetention answers GET /v1/retention: how much of the history the cluster keeps.
type getRetention struct{ *API }

func (s getRetention) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionGetRetention)); err != nil {
		return err
	}
	body, err := json.Marshal(shape.RetentionOf(c.Seen.View.State.Retention()))
	if err != nil {
		return fmt.Errorf("encode the retention: %w", err)
	}
	return c.answer(body)
}

// setRetention answers PUT /v1/retention: it changes how much of the history stays.
type setRetention struct{ *API }

func (s setRetention) serve(c *call) error {
	batch, _, err := c.Write(service, actionSetRetention, &retentionToSet{clusterChange{c, s.ofCluster(actionSetRetention), nil}})
	if err != nil || batch == nil {
		return err
	}
	done := shape.RetentionChange{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if e, ok := e.(*identity.RetentionSet); ok {
			done.KeepDays, done.KeepPositions, done.Floor = e.Rule.Days, e.Rule.Positions, e.Floor
		}
	}
	return c.written(batch, done)
}

// retentionToSet is a change of retention that is proposed. Its body is read for callers who
// may make it alone.
type retentionToSet struct{ clusterChange }

// Authorize is that of a clusterChange, which it completes.
func (r *retentionToSet) Authorize(v *projection.View) (event.Command, error) {
	if err := r.may(v); err != nil {
		return event.Command{}, err
	}
	if r.change == nil {
		set, err := parseRetention(r.call.Payload)
		if err != nil {
			return event.Command{}, err
		}
		if head := v.Head.Position; set.Floor != nil && *set.Floor > head+1 {
			return event.Command{}, fault.New(fault.InvalidInput, fmt.Sprintf("The history ends at position %d: nothing beyond it can have been taken elsewhere.", head),
				"Name the position behind the last one that was taken.")
		}
		r.change = set
	}
	return r.command(v), nil
}

// parseRetention reads a change of retention. What its numbers may be, the log decides.
func parseRetention(body []byte) (*identity.SetRetention, error) {
	const hint = `Send {"keep_days":90}, {"keep_positions":1000000} or {"floor":120000}; 0 of a rule keeps everything, and a floor of 0 is none.`
	var asked shape.RetentionToSet
	if err := fault.DecodeBody(body, &asked, "change of retention", hint); err != nil {
		return nil, err
	}
	set := &identity.SetRetention{Floor: asked.Floor}
	if asked.KeepDays != nil || asked.KeepPositions != nil {
		set.Rule = &identity.RetentionRule{}
	}
	if asked.KeepDays != nil {
		set.Rule.Days = *asked.KeepDays
	}
	if asked.KeepPositions != nil {
		set.Rule.Positions = *asked.KeepPositions
	}
	return set, nil
}
