package query

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	iam "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/writ-iam/writ/node/api/model"
)

// A codec joins a shape of the model with the Go type that the SDK has for it. It
// is made once for each pair and then only read.
type codec struct {
	shape   *model.Shape
	pointer bool    // the Go type is a pointer to the value
	elem    *codec  // of a list; the value of a map
	key     *codec  // of a map
	fields  []field // of a structure
	checked []int   // the indexes of fields, in the order in which inputs are checked
	// variants are the members of a union, whose goType is an interface.
	variants []variant
	goType   reflect.Type // without the pointer
}

// variant is a member of a union: the SDK has a type for each, with one field.
type variant struct {
	member *model.Field
	goType reflect.Type // a struct, behind a pointer in the interface
	value  *codec       // of its field Value
}

// unions are the SDK's types of the members of its unions, each of which is named
// for the interface and the member ("PolicyIdentifierMemberPolicyArn").
var unions = map[reflect.Type][]reflect.Type{
	reflect.TypeFor[iam.PolicyIdentifier](): {
		reflect.TypeFor[iam.PolicyIdentifierMemberInlinePolicyIdentifier](),
		reflect.TypeFor[iam.PolicyIdentifierMemberPolicyArn](),
		reflect.TypeFor[iam.PolicyIdentifierMemberPolicyType](),
	},
}

type field struct {
	member           *model.Field
	index            int // of the Go field
	codec            *codec
	open, end, empty string // tags
	optional         bool   // tags of what was made, which are not there where it has none
}

// plans remembers the codecs of inputs and outputs by Go type. It grows with the
// number of operations, which is fixed.
var plans sync.Map

// codecOf returns the codec for the input or output of an operation, whose type
// in the SDK has the operation's name and a suffix. It panics where the type is
// another, and where shape and type do not fit, which the tests rule out for all
// operations.
func codecOf(shape *model.Shape, t reflect.Type, op *model.Operation, suffix string) *codec {
	if known, ok := plans.Load(t); ok && known.(*codec).shape == shape {
		return known.(*codec)
	}
	if t.Name() != op.Name+suffix {
		panic(fmt.Sprintf("%s in place of %s%s", t, op.Name, suffix))
	}
	known, _ := plans.LoadOrStore(t, build(shape, t, 0))
	return known.(*codec)
}

func inputCodec(op *model.Operation, t reflect.Type) *codec {
	return codecOf(op.Input, t, op, "Input")
}

func outputCodec(op *model.Operation, t reflect.Type) *codec {
	return codecOf(op.Output, t, op, "Output")
}

func build(shape *model.Shape, t reflect.Type, depth int) *codec {
	if depth > MaxDepth {
		panic(fmt.Sprintf("shape %s nests deeper than %d", shape.Name, MaxDepth))
	}
	c := &codec{shape: shape, goType: t}
	if t.Kind() == reflect.Pointer {
		c.pointer, c.goType = true, t.Elem()
	}
	if shape.Union {
		c.buildVariants(depth)
		return c
	}
	if want := goKinds[shape.Kind]; c.goType.Kind() != want {
		panic(fmt.Sprintf("shape %s does not fit Go type %s", shape.Name, t))
	}
	switch shape.Kind {
	case model.List:
		c.elem = build(shape.Element, c.goType.Elem(), depth+1)
	case model.Map:
		c.key = build(shape.Key, c.goType.Key(), depth+1)
		c.elem = build(shape.Value, c.goType.Elem(), depth+1)
	case model.Structure:
		for i := range shape.Fields {
			c.fields = append(c.fields, buildField(&shape.Fields[i], c.goType, depth))
		}
		c.checked = model.Checked(shape.Fields)
	}
	return c
}

// buildVariants finds the SDK's type for each member of a union.
func (c *codec) buildVariants(depth int) {
	for i := range c.shape.Fields {
		member := &c.shape.Fields[i]
		at := slices.IndexFunc(unions[c.goType], func(t reflect.Type) bool { return t.Name() == c.goType.Name()+"Member"+member.Name })
		if at < 0 {
			panic(fmt.Sprintf("no Go type of %s for member %s", c.goType, member.Name))
		}
		t := unions[c.goType][at]
		value, _ := t.FieldByName("Value")
		c.variants = append(c.variants, variant{member, t, build(member.Shape, value.Type, depth+1)})
	}
}

// goKinds are the kinds of the SDK's types, pointers removed. A timestamp is a
// time.Time.
var goKinds = map[model.Kind]reflect.Kind{
	model.Structure: reflect.Struct, model.List: reflect.Slice, model.Map: reflect.Map, model.String: reflect.String,
	model.Integer: reflect.Int32, model.Boolean: reflect.Bool, model.Timestamp: reflect.Struct, model.Blob: reflect.Slice,
}

// buildField finds the Go field of a member. The SDK's names differ from those on
// the wire in the case of the first letter at most ("arn", "isTruncated").
func buildField(member *model.Field, t reflect.Type, depth int) field {
	name := strings.ToUpper(member.Name[:1]) + member.Name[1:]
	f, ok := t.FieldByName(name)
	if !ok {
		panic(fmt.Sprintf("Go type %s has no field for member %s", t, member.Name))
	}
	return field{
		member: member,
		index:  f.Index[0],
		codec:  build(member.Shape, f.Type, depth+1),
		open:   "<" + member.Name + ">",
		end:    "</" + member.Name + ">",
		empty:  "<" + member.Name + "/>",

		optional: member.Name == "Tags" && !member.Required,
	}
}

// target returns the value behind a pointer, which it makes.
func (c *codec) target(v reflect.Value) reflect.Value {
	if c.pointer {
		v.Set(reflect.New(c.goType))
		return v.Elem()
	}
	return v
}
