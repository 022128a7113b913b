package wire

import "github.com/writ-iam/writ/log/identity"

// record writes a record with its kind.
func (c *coder) record(r identity.Record) {
	k, err := recordKinds.of(r)
	if err != nil {
		c.fail(err)
		return
	}
	number, version := k.number, k.version
	num(c, &number)
	num(c, &version)
	c.version = version
	k.visit(c, r)
}

// readRecord reads what record wrote; nil after an error.
func (c *coder) readRecord() identity.Record {
	var number, version uint64
	num(c, &number)
	num(c, &version)
	if c.err != nil {
		return nil
	}
	k, err := recordKinds.at(number, version)
	if err != nil {
		c.fail(err)
		return nil
	}
	c.version = version
	r := k.make()
	k.visit(c, r)
	return r
}
