package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// The formats of an entry of the Raft log: what its first byte says. A stored
// number is forever.
const (
	formatBare          uint8 = 1 // a command without reliances; read, and written no more
	formatNamelessFence uint8 = 2 // a fence that names no lives; read, and written no more
	formatReliant       uint8 = 3 // a command without signature; read, and written no more
	formatFence         uint8 = 4
	formatCommand       uint8 = 5
	formatRelayed       uint8 = 6 // a command that came by way of another node; see event.Cause.Via
	formatRuled         uint8 = 7 // a command with the rules to decide it by, and with that node or none
	formatSession       uint8 = 8 // that, by a session
	formatChain         uint8 = 9 // that, and where the chain of the session began
)

// EncodeCommand makes the entry of the Raft log for a command: format, cluster,
// incarnation, cause, base, reliances, signature, relay and rules, handler number and version, the handler's
// own fields, and the SHA-256 of all that. A command that exceeds MaxCommandSize
// or identity.MaxReliances gives ErrTooLarge.
func EncodeCommand(cmd *event.Command) ([]byte, error) {
	k, err := commandKinds.of(cmd.Content)
	if err != nil {
		return nil, err
	}
	c := writer()
	defer c.release()
	format, number, version := formatCommand, k.number, k.version
	switch {
	case cmd.Cause.By.Session.Origin != (identity.Origin{}):
		format = formatChain
	case cmd.Cause.By.Session != (identity.Session{}):
		format = formatSession
	case cmd.Cause.Rules > identity.FirstRules:
		format = formatRuled
	case cmd.Cause.Via != "":
		format = formatRelayed
	}
	num(c, &format)
	c.envelope(format, cmd)
	num(c, &number)
	num(c, &version)
	c.version = version
	k.visit(c, cmd.Content)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("encode %T: %w", cmd.Content, err)
	}
	return c.sealed()
}

// DecodeCommand reads what EncodeCommand made.
func DecodeCommand(b []byte) (*event.Command, error) {
	c, format, err := openSealed(b, "command format", formatBare, formatReliant, formatCommand, formatRelayed, formatRuled, formatSession, formatChain)
	if err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	defer c.release()
	cmd := new(event.Command)
	var number, version uint64
	c.envelope(format, cmd)
	num(c, &number)
	num(c, &version)
	if c.err != nil {
		return nil, fmt.Errorf("decode command: %w", c.err)
	}
	k, err := commandKinds.at(number, version)
	if err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	c.version = version
	cmd.Content = k.make()
	k.visit(c, cmd.Content)
	if err := c.done(); err != nil {
		return nil, fmt.Errorf("decode %T: %w", cmd.Content, err)
	}
	return cmd, nil
}

func (c *coder) envelope(format uint8, cmd *event.Command) {
	atom(c, &cmd.Cluster)
	atom(c, &cmd.Incarnation)
	c.cause(&cmd.Cause)
	num(c, &cmd.Base.Position)
	c.fixed(cmd.Base.Hash[:])
	if format != formatBare {
		c.reliances(&cmd.Relies)
	}
	if format >= formatCommand {
		c.signature(&cmd.Cause.Signature)
	}
	switch format {
	case formatRelayed:
		c.relay(&cmd.Cause.Via)
	case formatRuled:
		c.ruled(&cmd.Cause)
	case formatSession:
		c.ruled(&cmd.Cause)
		c.session(&cmd.Cause.By.Session)
	case formatChain:
		c.ruled(&cmd.Cause)
		c.session(&cmd.Cause.By.Session)
		c.origin(&cmd.Cause.By.Session.Origin)
	}
}

func (c *coder) reliances(v *[]identity.Reliance) {
	list(c, v, reliance)
	if n := len(*v); n > identity.MaxReliances {
		c.fail(fmt.Errorf("%w: %d reliances, at most %d", ErrTooLarge, n, identity.MaxReliances))
	}
}

func reliance(c *coder, v *identity.Reliance) {
	num(c, &v.Lookup.By)
	if c.err == nil && !v.Lookup.By.Known() {
		c.fail(&UnknownError{What: "reliance", Number: uint64(v.Lookup.By)})
	}
	num(c, &v.Lookup.Kind)
	atom(c, &v.Lookup.Account)
	str(c, &v.Lookup.Text)
	c.fixed(v.Found[:])
}

func (c *coder) cause(v *event.Cause) {
	num(c, &v.Time)
	c.fixed(v.Key[:])
	atom(c, &v.By.Account)
	atom(c, &v.By.Principal)
	atom(c, &v.By.Credential)
	num(c, &v.By.AuthorizedAt)
	str(c, &v.Request)
	atom(c, &v.Action)
	atom(c, &v.Source)
}

// relay codes event.Cause.Via. What came directly has a form of its own.
func (c *coder) relay(via *string) {
	if atom(c, via); c.err == nil && *via == "" {
		c.fail(corrupt("relayed by nobody"))
	}
}

// ruled codes the rules of a command or a batch, which some do not name, and
// event.Cause.Via. A build knows the rules of its own time and of all before.
func (c *coder) ruled(v *event.Cause) {
	atom(c, &v.Via)
	num(c, &v.Rules)
	switch {
	case c.err != nil:
	case v.Rules == identity.FirstRules:
		c.fail(corrupt("ruled by no rules"))
	case v.Rules > identity.CurrentRules:
		c.fail(&UnknownError{What: "rules", Number: uint64(v.Rules)})
	}
}

func (c *coder) signature(v *identity.Signature) {
	c.fixed(v.ID[:])
	num(c, &v.Signed)
	num(c, &v.Until)
}

// CheckEntry checks the SHA-256 of an entry of the Raft log, whichever kind it is.
func CheckEntry(b []byte) error {
	_, err := unseal(b)
	return err
}

// unseal returns b without the SHA-256 at its end, which it checks.
func unseal(b []byte) ([]byte, error) {
	if len(b) > MaxCommandSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxCommandSize)
	}
	if len(b) < sha256.Size {
		return nil, corrupt("%d bytes", len(b))
	}
	body, seal := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], seal) {
		return nil, corrupt("the SHA-256 does not match")
	}
	return body, nil
}

// sealed returns a copy of what was written with its SHA-256 appended.
func (c *coder) sealed() ([]byte, error) {
	size := c.out.Len() + sha256.Size
	if size > MaxCommandSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, MaxCommandSize)
	}
	sum := sha256.Sum256(c.out.Bytes())
	return append(append(make([]byte, 0, size), c.out.Bytes()...), sum[:]...), nil
}

// openSealed checks the SHA-256 at the end of b and returns a reader of the rest
// behind its format, which must be one of those known. The caller releases it
// unless there is an error.
func openSealed(b []byte, what string, known ...uint8) (c *coder, format uint8, err error) {
	body, err := unseal(b)
	if err != nil {
		return nil, 0, err
	}
	c = reader(body)
	if num(c, &format); c.err != nil || !slices.Contains(known, format) {
		err := c.err
		c.release()
		if err == nil {
			err = &UnknownError{What: what, Number: uint64(format)}
		}
		return nil, 0, err
	}
	return c, format, nil
}
