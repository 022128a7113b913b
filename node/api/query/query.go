// Package query is the AWS Query protocol, in both directions: parameters of a
// form into an input struct of the SDK, an output struct of the SDK into XML. It
// is driven by the service models (package model); there is no code for any single
// action.
//
// A server reads a request with [ParseRequest], finds the operation with
// [Form.Operation], fills and checks the input with [Decode], and answers with
// [WriteResponse] or [WriteError]. Refusals are of type [*Error] and carry AWS's
// codes and texts.
//
// Lists are ".member.N", maps ".entry.N.key" and ".entry.N.value"; "Tags=" is an
// empty list; parameters that the operation does not know are passed over. Answers are
// in XML, or in JSON for whoever asks for it ([FormatOf]). In them the lists and maps of the outermost structure are there even when they
// are empty, except tags that the service model does not require; those, and the lists elsewhere, are
// there where they are not nil. Strings are written as they are:
// what IAM answers percent-encoded, policy documents, the actions encode.
package query

import (
	"mime"
	"net/http"
	"strings"

	"github.com/writ-iam/writ/node/api/model"
)

// Limits of what is read.
const (
	// MaxBody is the longest body that holds a form, in bytes. The longest
	// command is shorter even if every byte of it is percent-encoded.
	MaxBody = 1 << 20
	// MaxParameters is the number of parameters a form may have.
	MaxParameters = 10_000
	// MaxListLength is the number of elements a list or map of an input may
	// have. The model's own limits are lower where it has any.
	MaxListLength = 1000
	// MaxDepth is how deep the shapes of an input or output may nest.
	MaxDepth = 12
)

// noVersion is how AWS names the version in InvalidAction when none was given.
const noVersion = "NO_VERSION_SPECIFIED"

// Error is the refusal of a request, or the failure of one, in AWS's words.
type Error struct {
	Code    string
	Status  int // of the HTTP answer
	Message string
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Words are code and message, for answers.
func (e *Error) Words() (code, message string) { return e.Code, e.Message }

func malformedInput(message string) *Error {
	return &Error{"MalformedInput", http.StatusBadRequest, message}
}

func malformedQuery(message string) *Error {
	return &Error{"MalformedQueryString", http.StatusNotFound, message} // the status that AWS documents
}

// ParseRequest reads the parameters of a request: those of its URL and, where the
// body is a form, those of the body. It must be a GET or a POST. body has been read by the caller, who hashed
// it.
func ParseRequest(r *http.Request, body []byte) (*Form, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, &Error{"UnknownOperationException", http.StatusNotFound, "The method " + quotable(r.Method) + " is no operation."}
	}
	f := &Form{}
	if err := f.parse(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if len(body) > 0 && isForm(r.Header.Get("Content-Type")) {
		if len(body) > MaxBody {
			return nil, &Error{"RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "Request size exceeded the limit of 1048576 bytes"}
		}
		if err := f.parse(string(body)); err != nil {
			return nil, err
		}
	}
	return f, f.sort()
}

// isForm tells a form by its media type. A body without a type is taken for one.
func isForm(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, _ := strings.Cut(contentType, ";")
	if strings.TrimSpace(media) == "application/x-www-form-urlencoded" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/x-www-form-urlencoded"
}

// Operation finds the operation that the form names by Action and Version. The
// error is MissingAction or InvalidAction.
func (f *Form) Operation() (*model.Operation, error) {
	action, _ := f.Get("Action")
	version, _ := f.Get("Version")
	if action == "" {
		return nil, &Error{"MissingAction", http.StatusBadRequest, "The request must contain the parameter Action"}
	}
	if op := model.Find(action, version); op != nil {
		return op, nil
	}
	if version == "" {
		version = noVersion
	}
	return nil, &Error{"InvalidAction", http.StatusBadRequest,
		"Could not find operation " + quotable(action) + " for version " + quotable(version)}
}

// quotable shortens what a client sent to what a message should repeat.
func quotable(s string) string {
	const longest = 256
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "..."
}
