// Package model holds the facts of the AWS APIs that Writ speaks: operations, the
// shapes of their inputs and outputs, and their errors, as AWS's service models
// give them. [IAM] and [STS] read the embedded models once, on first use.
//
// Everything returned is shared and must not be changed. Constraints on values
// are checked with [Violations], which words them as AWS does.
package model

import (
	"slices"
	"strings"
	"sync"
)

// Service is one API.
type Service struct {
	Name      string // signing name and action prefix: "iam", "sts"
	Version   string // of the API, such as "2010-05-08"
	Namespace string // of its XML
	// Terse tells that messages about values do not quote them, nor say what an
	// enumeration has, and have words for names and paths: those of IAM, not of STS.
	Terse bool

	operations []*Operation // by name
	byName     map[string]*Operation
	errors     map[string]int // HTTP status by code
}

// Operation is one action of an API.
type Operation struct {
	Service       *Service
	Name          string // "CreateUser"
	Input         *Shape // nil where there are no parameters
	Output        *Shape // nil where the answer is ResponseMetadata alone
	ResultWrapper string // element around the output; empty where Output is nil
	Errors        []Error
	Unsigned      bool // called without a signature
	Pagination    *Pagination
}

// Error is a documented error of an operation.
type Error struct {
	Code   string // on the wire, such as "NoSuchEntity"
	Status int    // of the HTTP answer
}

// Pagination names the fields by which an operation is paged.
type Pagination struct {
	InputToken, OutputToken string
	LimitKey                string // the page size
	MoreResults             string // the flag that says there is more
	ResultKeys              []string
}

// Kind is what a shape holds.
type Kind uint8

// The kinds of shape.
const (
	Structure Kind = iota + 1
	List
	Map
	String
	Integer
	Boolean
	Timestamp
	Blob
)

// Shape is the type of a value.
type Shape struct {
	Name    string
	Kind    Kind
	Fields  []Field // of a structure, by name
	Element *Shape  // of a list
	Key     *Shape  // of a map
	Value   *Shape  // of a map
	// Min and Max bound the length of strings (UTF-16 units), blobs, lists and
	// maps, and the value of integers.
	Min, Max  *int64
	Pattern   string // as the model has it; empty is none
	Enum      []string
	Sensitive bool // must not show in messages
	// Dense tells that AWS lists among the constraints of a list's elements that they must
	// not be null. It does so for tag keys, and not for the older lists of IAM.
	Dense bool
	// Union tells that one field of a structure is there, and no other.
	Union bool

	pattern *pattern
}

// Field is one of a structure, which AWS calls a member.
type Field struct {
	Name     string // on the wire
	Path     string // as in ValidationError: the first letter in lower case
	Shape    *Shape
	Required bool
}

var (
	iam = sync.OnceValue(func() *Service { return load("iam", iamJSON) })
	sts = sync.OnceValue(func() *Service { return load("sts", stsJSON) })
)

// IAM returns the model of the IAM API.
func IAM() *Service { return iam() }

// STS returns the model of the STS API.
func STS() *Service { return sts() }

// Find returns the operation that an Action and a Version name, of whichever
// service has that version; nil when there is none.
func Find(action, version string) *Operation {
	for _, s := range [...]*Service{IAM(), STS()} {
		if s.Version == version {
			return s.byName[action]
		}
	}
	return nil
}

// Operation returns the operation of that name, nil when there is none.
func (s *Service) Operation(name string) *Operation { return s.byName[name] }

// Operations returns all operations, by name.
func (s *Service) Operations() []*Operation { return s.operations }

// Status returns the HTTP status of an error code, documented or common to all
// services, and whether the code is known.
func (s *Service) Status(code string) (status int, known bool) {
	if status, known = s.errors[code]; !known {
		status, known = commonErrors[code]
	}
	return status, known
}

// commonErrors are the errors that every action can give, from IAM's and STS's
// "Common errors" pages and what the services answer. ServiceUnavailable and
// InternalFailure are the only ones that clients retry.
var commonErrors = map[string]int{
	"AccessDenied":                403,
	"AccessDeniedException":       403,
	"ExpiredToken":                403,
	"IncompleteSignature":         400,
	"InternalFailure":             500,
	"InvalidAction":               400,
	"InvalidClientTokenId":        403,
	"InvalidParameterCombination": 400,
	"InvalidParameterValue":       400,
	"InvalidQueryParameter":       400,
	"MalformedInput":              400,
	"MalformedQueryString":        404,
	"MissingAction":               400,
	"MissingAuthenticationToken":  403,
	"MissingParameter":            400,
	"OutcomeUnknown":              503, // Writ's own: the leader was lost while a write was under way
	"RequestEntityTooLarge":       413,
	"RequestExpired":              400,
	"ServiceUnavailable":          503,
	"SignatureDoesNotMatch":       403,
	"Throttling":                  400,
	"UnknownOperationException":   404,
	"ValidationError":             400,
}

// Field returns the field of that name, nil when there is none.
func (s *Shape) Field(name string) *Field {
	i, ok := slices.BinarySearchFunc(s.Fields, name, func(m Field, name string) int { return strings.Compare(m.Name, name) })
	if !ok {
		return nil
	}
	return &s.Fields[i]
}
