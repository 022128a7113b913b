package model

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what a message quotes.
const (
	maxQuoted     = 2048 // bytes of a value
	maxViolations = 100
)

// Violations gathers what is wrong with an input, in AWS's words. The zero value
// is ready. Paths are those of ValidationError messages, such as "userName" or
// "tags.1.member.key".
type Violations struct {
	// Terse is that of the service; see Service.
	Terse bool

	list     []string
	spelling string // what is wrong with the first name or path that is misspelt
}

// Null notes that a required value is missing.
func (v *Violations) Null(path []byte) {
	if v.Terse {
		v.add("Value at '" + string(path) + "' failed to satisfy constraint: Member must not be null")
		return
	}
	v.add("Value null at '" + string(path) + "' failed to satisfy constraint: Member must not be null")
}

// String checks a value against the pattern, the length and the enumeration of
// its shape. Several can be violated; AWS then names all, the pattern first.
func (v *Violations) String(path []byte, s *Shape, value string) {
	if s.pattern != nil && !s.pattern.match(value) {
		v.misspelt(path, s, value)
	}
	if s.Min != nil || s.Max != nil {
		v.length(path, s, utf16Length(value), value)
	}
	if s.Enum != nil && !contains(s.Enum, value) {
		v.constraint(path, s, value, v.enumeration(s))
	}
}

// spellings are what IAM says of a value whose pattern is one of these. It looks at them
// once nothing else is wrong, and names one alone.
var spellings = map[string]string{
	`[\w+=,.@-]+`: "It must contain only alphanumeric characters and/or the following: +=,.@_-",
	`[\w]+`:       "It must contain only alphanumeric characters.",
	`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`: spelledPath,
	`((/[A-Za-z0-9\.,\+@=_-]+)*)/`:            spelledPath,
	`\u002F[\u0021-\u007F]*`:                  spelledPrefix,
}

// What paths and their prefixes must be, as IAM says it of every noun.
const (
	spelledPath   = "It must begin and end with / and contain only alphanumeric characters and/or / characters."
	spelledPrefix = "It must begin with the / character and contain only alphanumeric characters and/or / characters."
)

// serviceCredentialID is the one shape of identifiers whose pattern IAM names.
const serviceCredentialID = "serviceSpecificCredentialId"

// misspelt notes that a value does not match its pattern.
func (v *Violations) misspelt(path []byte, s *Shape, value string) {
	rule := ""
	if v.Terse && s.Name != serviceCredentialID {
		rule = spellings[s.Pattern]
	}
	switch {
	case rule == "":
		v.constraint(path, s, value, "satisfy regular expression pattern: "+s.Pattern)
		return
	case v.spelling != "":
		return
	case rule == spelledPath && bytes.HasSuffix(path, []byte("pathPrefix")): // some have the pattern of a path
		rule = spelledPrefix
	}
	v.spelling = "The specified value for " + string(path) + " is invalid. " + rule
}

// enumeration is the constraint of an enumeration.
func (v *Violations) enumeration(s *Shape) string {
	if v.Terse {
		return "satisfy enum value set"
	}
	return "satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

// Strings checks the elements of a list of strings against their shape. AWS names
// the list, not the element, and all constraints of it, not those that are violated.
func (v *Violations) Strings(path []byte, list *Shape, values []string) {
	var found Violations
	for _, value := range values {
		found.String(path, list.Element, value)
	}
	if found.Message() == "" {
		return
	}
	var all []string
	s := list.Element
	if s.Max != nil {
		all = append(all, "Member must have length less than or equal to "+strconv.FormatInt(*s.Max, 10))
	}
	if s.Min != nil {
		all = append(all, "Member must have length greater than or equal to "+strconv.FormatInt(*s.Min, 10))
	}
	if s.Pattern != "" {
		all = append(all, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if s.Enum != nil {
		all = append(all, "Member must "+v.enumeration(s))
	}
	if list.Dense {
		all = append(all, "Member must not be null")
	}
	v.constraint(path, s, "["+strings.Join(values, ", ")+"]", "satisfy constraint: ["+strings.Join(all, ", ")+"]")
}

// Integer checks a number against the bounds of its shape.
func (v *Violations) Integer(path []byte, s *Shape, n int64) {
	if s.Min != nil && n < *s.Min {
		v.constraint(path, s, strconv.FormatInt(n, 10), "have value greater than or equal to "+strconv.FormatInt(*s.Min, 10))
	}
	if s.Max != nil && n > *s.Max {
		v.constraint(path, s, strconv.FormatInt(n, 10), "have value less than or equal to "+strconv.FormatInt(*s.Max, 10))
	}
}

// Length checks the number of elements of a list or map, or of bytes of a blob,
// against the bounds of its shape. The message does not quote the value.
func (v *Violations) Length(path []byte, s *Shape, n int) {
	v.length(path, &Shape{Min: s.Min, Max: s.Max, Sensitive: true}, int64(n), "")
}

func (v *Violations) length(path []byte, s *Shape, n int64, value string) {
	if s.Min != nil && n < *s.Min {
		v.constraint(path, s, value, "have length greater than or equal to "+strconv.FormatInt(*s.Min, 10))
	}
	if s.Max != nil && n > *s.Max {
		v.constraint(path, s, value, "have length less than or equal to "+strconv.FormatInt(*s.Max, 10))
	}
}

func (v *Violations) constraint(path []byte, s *Shape, value, must string) {
	quoted := "Value "
	if !s.Sensitive && !v.Terse {
		if len(value) > maxQuoted {
			value = strings.ToValidUTF8(value[:maxQuoted], "") + "..."
		}
		quoted += "'" + value + "' "
	}
	v.add(quoted + "at '" + string(path) + "' failed to satisfy constraint: Member must " + must)
}

func (v *Violations) add(text string) {
	if len(v.list) < maxViolations {
		v.list = append(v.list, text)
	}
}

// Message returns the text of a ValidationError; empty when nothing is wrong.
func (v *Violations) Message() string {
	switch len(v.list) {
	case 0:
		return v.spelling
	case 1:
		return "1 validation error detected: " + v.list[0]
	}
	return strconv.Itoa(len(v.list)) + " validation errors detected: " + strings.Join(v.list, "; ")
}

// utf16Length is the length of a string as Java counts it.
func utf16Length(s string) int64 {
	n := int64(utf8.RuneCountInString(s))
	for _, r := range s {
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

func contains(list []string, value string) bool {
	for _, have := range list {
		if have == value {
			return true
		}
	}
	return false
}
