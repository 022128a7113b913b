package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The service models, without documentation. They come with the SDK whose types
// the actions use; TestModelsFitSDK of package query says where the two differ. What
// the simulators take beyond them (OrderedOrganizationPolicyInputList,
// PolicyExclusionList) is added by the API Reference and the SDK.
var (
	//go:embed iam-2010-05-08.json
	iamJSON []byte
	//go:embed sts-2011-06-15.json
	stsJSON []byte
)

// The parts of a service model that are read.
type (
	modelFile struct {
		Metadata struct {
			APIVersion   string `json:"apiVersion"`
			XMLNamespace string `json:"xmlNamespace"`
		}
		Operations map[string]modelOperation
		Shapes     map[string]modelShape
		Pagination map[string]modelPagination
	}
	modelOperation struct {
		Input, Output *modelRef
		Errors        []modelRef
		AuthType      string `json:"authtype"`
	}
	modelRef struct {
		Shape         string
		ResultWrapper string `json:"resultWrapper"`
	}
	modelShape struct {
		Type               string
		Members            map[string]modelRef
		Required           []string
		Member, Key, Value *modelRef
		Min, Max           *int64
		Pattern            string
		Enum               []string
		Sensitive, Union   bool
		Exception          bool
		Error              *struct {
			Code   string
			Status int `json:"httpStatusCode"`
		}
	}
	modelPagination struct {
		InputToken  string    `json:"input_token"`
		OutputToken string    `json:"output_token"`
		LimitKey    string    `json:"limit_key"`
		MoreResults string    `json:"more_results"`
		ResultKey   oneOrMore `json:"result_key"`
	}
	oneOrMore []string
)

// UnmarshalJSON takes a string or a list of strings.
func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(o))
	}
	*o = make([]string, 1)
	return json.Unmarshal(data, &(*o)[0])
}

var kinds = map[string]Kind{
	"structure": Structure, "list": List, "map": Map, "string": String, "integer": Integer,
	"boolean": Boolean, "timestamp": Timestamp, "blob": Blob,
}

// load reads an embedded model. That it can be read is a fact of the build, which
// the tests check; so it panics where it cannot.
func load(name string, text []byte) *Service {
	var file modelFile
	if err := json.Unmarshal(text, &file); err != nil {
		panic(fmt.Sprintf("read the service model of %s: %v", name, err))
	}
	l := loader{shapes: file.Shapes, done: make(map[string]*Shape)}
	s := &Service{
		Name:      name,
		Version:   file.Metadata.APIVersion,
		Namespace: file.Metadata.XMLNamespace,
		Terse:     name == "iam",
		byName:    make(map[string]*Operation),
		errors:    make(map[string]int),
	}
	for _, opName := range slices.Sorted(maps.Keys(file.Operations)) {
		op := l.operation(opName, file.Operations[opName])
		op.Service = s
		if p, ok := file.Pagination[opName]; ok {
			op.Pagination = &Pagination{p.InputToken, p.OutputToken, p.LimitKey, p.MoreResults, p.ResultKey}
		}
		s.operations = append(s.operations, op)
		s.byName[opName] = op
	}
	for shapeName, shape := range file.Shapes {
		if shape.Exception {
			e := exception(shapeName, shape)
			s.errors[e.Code] = e.Status
		}
	}
	return s
}

// wider are members that take longer texts here than in AWS's model, and of any characters;
// what asks for them checks them. Devices were made once whose serial numbers are such, and
// must be deletable.
var wider = map[string]string{"DeleteVirtualMFADeviceRequest": "SerialNumber"}

type loader struct {
	shapes map[string]modelShape
	done   map[string]*Shape
}

func (l *loader) operation(name string, from modelOperation) *Operation {
	op := &Operation{Name: name, Unsigned: from.AuthType == "none"}
	if from.Input != nil {
		op.Input = l.shape(from.Input.Shape)
	}
	if from.Output != nil {
		op.Output = l.shape(from.Output.Shape)
		op.ResultWrapper = from.Output.ResultWrapper
	}
	for _, ref := range from.Errors {
		op.Errors = append(op.Errors, exception(ref.Shape, l.shapes[ref.Shape]))
	}
	return op
}

// exception gives the wire form of an error. One without a code of its own goes
// by its name, as a client's mistake.
func exception(name string, shape modelShape) Error {
	if shape.Error == nil {
		return Error{Code: name, Status: 400}
	}
	return Error{Code: shape.Error.Code, Status: shape.Error.Status}
}

func (l *loader) shape(name string) *Shape {
	if s, ok := l.done[name]; ok {
		return s
	}
	from, ok := l.shapes[name]
	kind := kinds[from.Type]
	if !ok || kind == 0 {
		panic(fmt.Sprintf("service model: shape %q of type %q", name, from.Type))
	}
	s := &Shape{
		Name: name, Kind: kind, Min: from.Min, Max: from.Max,
		Pattern: from.Pattern, Enum: from.Enum, Sensitive: from.Sensitive, Union: from.Union,
		Dense: name == "tagKeyListType",
	}
	l.done[name] = s // before its members: shapes may refer to themselves
	if s.Pattern != "" {
		s.pattern = mustCompile(s.Pattern)
	}
	s.Element, s.Key, s.Value = l.ref(from.Member), l.ref(from.Key), l.ref(from.Value)
	for _, member := range slices.Sorted(maps.Keys(from.Members)) {
		of := l.shape(from.Members[member].Shape)
		if wider[name] == member {
			of = &Shape{Name: of.Name, Kind: of.Kind, Min: of.Min}
		}
		s.Fields = append(s.Fields, Field{
			Name:     member,
			Path:     strings.ToLower(member[:1]) + member[1:],
			Shape:    of,
			Required: slices.Contains(from.Required, member),
		})
	}
	return s
}

func (l *loader) ref(ref *modelRef) *Shape {
	if ref == nil {
		return nil
	}
	return l.shape(ref.Shape)
}
