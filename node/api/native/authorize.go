package native

import (
	"bytes"

	"github.com/writ-iam/writ/node/decision"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/past"
)

// answerSize is about what an answer to one question takes, in bytes.
const answerSize = 512

// authorizeOne answers POST /v1/authorize: may this principal do this?
type authorizeOne struct{ *API }

func (s authorizeOne) serve(c *call) error {
	if err := c.Authenticate(c.useOfQuestion()); err != nil {
		return err
	}
	q, at, err := past.Parse(c.Payload)
	if err != nil {
		return err
	}
	asker := s.asking(c)
	if at != nil {
		if err := q.Check(); err != nil {
			return err
		}
		if asker.Past, err = s.then(c, *at, q.Principal); err != nil || asker.Past == nil {
			return err
		}
	}
	body, err := asker.Answer(make([]byte, 0, answerSize), &q)
	if err != nil {
		return err
	}
	if asker.Past != nil {
		return c.answerOf(asker.Past.Head, body)
	}
	return c.answer(body)
}

// authorizeMany answers POST /v1/authorize/batch: many questions, one position.
type authorizeMany struct{ *API }

func (s authorizeMany) serve(c *call) error {
	if err := c.Authenticate(c.useOfQuestion()); err != nil {
		return err
	}
	batch, err := decision.ParseBatch(c.Payload)
	if err != nil {
		return err
	}
	body, err := s.asking(c).Batch([]byte(`{"answers":`), &batch)
	if err != nil {
		return err
	}
	return c.answer(append(body, '}'))
}

// asking is the verified caller as one who asks for decisions.
func (s *API) asking(c *call) *decision.Asker {
	c.asker = decision.Asker{Engine: s.cfg.Engine, Pass: &c.Pass, Seen: &c.Seen, Header: c.W.Header()}
	return &c.asker
}

// useOfQuestion is what a question wants of a view, as far as its text shows. An
// explanation shows policies, so that it is a read.
func (c *call) useOfQuestion() freshness.Use {
	if bytes.Contains(c.Payload, []byte("explain")) {
		return freshness.ForRead
	}
	return freshness.ForQuestion
}
