// Package scalar is the values that conditions compare: numbers, dates, booleans,
// addresses, and how policies and requests write them. It is pure.
package scalar

import "encoding/base64"

// Type is the type of a condition key's values.
type Type byte

// The types of keys.
const (
	String Type = iota
	Number
	Date
	Bool
	Address
	ARN
	Binary
)

// Takes tells whether a text is a value of the type. Any text is one of a text, and
// of what is compared as a text.
func (t Type) Takes(text string) (ok bool) {
	switch t {
	case Number:
		_, ok = ParseDecimal(text)
	case Date:
		_, ok = ParseInstant(text)
	case Bool:
		_, ok = ParseBool(text)
	case Address:
		_, ok = ParseNetwork(text)
	case Binary:
		_, err := base64.StdEncoding.DecodeString(text)
		ok = err == nil
	default:
		ok = true
	}
	return ok
}
