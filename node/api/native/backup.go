package native

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/archive"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
)

// MaxBackups is how many archives a writer sends at once. Each keeps the state of its
// beginning in memory, as far as that has changed since.
const MaxBackups = 2

// Backups has what archives are made of.
type Backups interface {
	// Source is that of an archive of the position that the writer has reached; nil where it
	// has nothing yet.
	Source() *archive.Source
}

// getBackup answers GET /v1/backup: an archive of the state and the history, in one stream.
type getBackup struct{ *API }

func (s getBackup) serve(c *call) error {
	if s.cfg.Backups == nil {
		return fault.Later("A replica keeps no history: ask a writer.", nil)
	}
	extent, err := extentOf(c.Request.Request)
	if err != nil {
		return err
	}
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionBackup)); err != nil {
		return err
	}
	select {
	case s.backups <- struct{}{}:
		defer func() { <-s.backups }()
	default:
		return fault.Later("This writer sends as many archives as it may at once.", nil)
	}
	// All that the cluster has is not told to a key that may have been deleted, whatever else is.
	head, err := s.cfg.Views.StrictHead(c.Context(), true)
	if err != nil {
		return fault.Later("The head of the log could not be read.", err)
	}
	source := s.cfg.Backups.Source()
	if source == nil {
		return fault.Later("This writer has not caught up yet.", nil)
	}
	right := c.Right("", s.ofCluster(actionBackup))
	if err := right.Still(c.Context(), max(head.Position, source.Header.Head.Position)); err != nil {
		return err
	}
	c.Job.Rest() // the caller may read slowly
	out := &steady{call: c, api: s.API, control: http.NewResponseController(&c.W)}
	_, err = source.Write(out, extent)
	if errors.Is(err, archive.ErrExtent) && !out.begun {
		return fault.BadRequest("Give a position that the history has, or leave since out.", "%v.", err)
	}
	return err // of an answer that has begun, which is cut short by it
}

// extentOf reads what is asked for.
func extentOf(r *http.Request) (e archive.Extent, err error) {
	q := r.URL.Query()
	if text := q.Get("since"); text != "" {
		at, err := strconv.ParseUint(text, 10, 63)
		if err != nil || at == 0 {
			return e, fault.BadRequest("Give a position, from 1 on.", "since is %s.", fault.Quote(text))
		}
		e.Since = event.Position(at)
	}
	if text := q.Get("state_only"); text != "" {
		if e.StateOnly, err = strconv.ParseBool(text); err != nil {
			return e, fault.BadRequest("Give true or false.", "state_only is %s.", fault.Quote(text))
		}
	}
	return e, nil
}

// steady writes to a caller who must keep reading, while the node does not stop.
type steady struct {
	call    *call
	api     *API
	control *http.ResponseController
	begun   bool
}

// backupPatience is how long a caller may leave what it was sent unread.
const backupPatience = time.Minute

func (w *steady) Write(p []byte) (int, error) {
	select {
	case <-w.api.ending:
		return 0, errStopping
	default:
	}
	if !w.begun {
		w.begun = true
		h := w.call.W.Header()
		h.Set(shape.HeaderRequestID, w.call.ID)
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "no-store")
	}
	err := w.control.SetWriteDeadline(time.Now().Add(backupPatience))
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // not a connection: a test
		return 0, err
	}
	return w.call.W.Write(p)
}
