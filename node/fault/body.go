package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// DecodeBody reads the one JSON value of a body, which has members that into has alone.
// what says in a refusal what it is to be, and hint what to send.
func DecodeBody(body []byte, into any, what, hint string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return BadRequest(hint, "The body is no %s: %.200v.", what, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return BadRequest(hint, "Something follows the %s.", what)
	}
	return nil
}
