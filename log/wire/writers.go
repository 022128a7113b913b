package wire

import "github.com/writ-iam/writ/log/identity"

// The forms of what is about writers: of its commands, of its events, of its record.

func listWriters(c *coder, v *identity.ListWriters) { list(c, &v.Writers, writerOf) }

func addWriter(c *coder, v *identity.AddWriter) { writerOf(c, &v.Writer) }

func changeWriter(c *coder, v *identity.ChangeWriter) { writerOf(c, &v.Writer) }

func removeWriter(c *coder, v *identity.RemoveWriter) { str(c, &v.Name) }

func writersListed(c *coder, v *identity.WritersListed) { list(c, &v.Writers, writerOf) }

func writerAdded(c *coder, v *identity.WriterAdded) { writerOf(c, &v.Writer) }

func writerChanged(c *coder, v *identity.WriterChanged) { writerOf(c, &v.Writer) }

func writerRemoved(c *coder, v *identity.WriterRemoved) { str(c, &v.Name) }

func writers(c *coder, v *identity.Writers) {
	num(c, &v.Changed)
	list(c, &v.List, writerOf)
	list(c, &v.Removed, func(c *coder, v *identity.RemovedWriter) {
		str(c, &v.Name)
		str(c, &v.Peer)
		num(c, &v.At)
	})
}

func writerOf(c *coder, v *identity.Writer) {
	str(c, &v.Name)
	str(c, &v.Peer)
	str(c, &v.Broker)
	str(c, &v.Routes)
	str(c, &v.Region)
}
