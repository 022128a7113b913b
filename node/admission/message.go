package admission

import (
	"crypto/rand"
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/denial"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection/authz"
)

// sealDenial seals what there is to say of a denial; empty where the node has no key that
// seals sessions: who is denied is told so all the same.
func (d *Desk) sealDenial(s *identity.State, c *Caller, i *Inquiry, x *authz.Explanation) string {
	if d.cfg.Seal == nil {
		return ""
	}
	text := denial.Encode(string(c.Account), c.UserID, &i.Request, &i.Globals, x, session.MaxMessageText)
	sealed, err := d.SealMessage(s, session.Denial, text)
	if err != nil || text == nil {
		return ""
	}
	return sealed
}

// SealMessage seals a text by the key that seals sessions in a state. The error wraps
// ErrNoSessionKey, or session.ErrTooLarge. The node must have the keys that open secrets.
func (d *Desk) SealMessage(s *identity.State, use session.Use, text []byte) (string, error) {
	active, ok := s.ActiveSessionKey()
	if !ok {
		return "", ErrNoSessionKey
	}
	cluster := s.Cluster()
	key, err := d.sessionKey(cluster, &active)
	if err != nil {
		return "", err
	}
	return key.SealMessage(cluster.ID, cluster.Incarnation, use, text, rand.Reader)
}

// OpenMessage opens what SealMessage sealed. False: it is nothing of the kind, was altered,
// or its key is no longer in force. The node must have the keys that open secrets.
func (d *Desk) OpenMessage(s *identity.State, use session.Use, sealed string) (text []byte, ok bool, err error) {
	number, err := session.KeyOfMessage(sealed)
	if err != nil {
		return nil, false, nil //nolint:nilerr // it is no message
	}
	key, err := d.keyOf(s, number)
	if refused := (*sigv4.Error)(nil); errors.As(err, &refused) || errors.Is(err, errNewer) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	cluster := s.Cluster()
	text, err = key.OpenMessage(cluster.ID, cluster.Incarnation, use, sealed)
	return text, err == nil, nil
}
