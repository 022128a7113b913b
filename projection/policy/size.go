package policy

import "unsafe"

// Sizes of what a compiled policy is made of, in bytes. Lists are made with room for
// what comes, of which up to half may be left.
const (
	sizeStatement = 2 * int(unsafe.Sizeof(Statement{}))
	sizeAction    = 2 * int(unsafe.Sizeof(ActionPattern{}))
	sizePrincipal = 2 * int(unsafe.Sizeof(Principal{}))
	sizeCondition = 2 * int(unsafe.Sizeof(Condition{}))
	sizeUse       = 2 * int(unsafe.Sizeof(KeyUse{}))
	sizeOperand   = 2 * int(unsafe.Sizeof(operand{}))
	sizePattern   = 2 * int(unsafe.Sizeof(pattern{}))
	sizePart      = 2 * int(unsafe.Sizeof(part{}))
	sizeString    = 2 * int(unsafe.Sizeof(""))
)

// Size is about how many bytes of memory the policy takes, at most, besides the text
// that it was compiled from, which it keeps as well.
func (p *Policy) Size() int {
	n := int(unsafe.Sizeof(*p))
	for i := range p.Statements {
		s := &p.Statements[i]
		n += sizeStatement + sizeAction*len(s.Actions) + sizePrincipal*len(s.Principals) + sizeUse*len(s.uses)
		for j := range s.resources {
			n += sizePattern + s.resources[j].size()
		}
		for j := range s.Conditions {
			c := &s.Conditions[j]
			n += sizeCondition + len(c.Key)
			for k := range c.values {
				n += sizeOperand + c.values[k].text.size() + len(c.values[k].bytes)
			}
		}
	}
	return n
}

func (p *pattern) size() int {
	n := sizeString*len(p.middle) + sizePart*len(p.parts)
	for i := range p.fields {
		n += sizePattern + p.fields[i].size()
	}
	return n
}
