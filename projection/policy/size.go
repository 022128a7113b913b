package policy

// Sizes of what a compiled policy is made of, in bytes, on machines of 64 bits. Lists
// are made with room for what comes, of which up to half may be left; so they are twice
// those of the types.
const (
	sizeStatement = 2 * 208
	sizeAction    = 2 * 56
	sizePrincipal = 2 * 40
	sizeCondition = 2 * 96
	sizeUse       = 2 * 32
	sizeOperand   = 2 * 256
	sizePattern   = 2 * 136
	sizePart      = 2 * 48
	sizeString    = 2 * 16
)

// Size is about how many bytes of memory the policy takes, at most, besides the text
// that it was compiled from, which it keeps as well.
func (p *Policy) Size() int {
	n := sizeStatement
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
