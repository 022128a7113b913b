package wire

import "github.com/writ-iam/writ/log/identity"

// Incarnations of the cluster.

func beginIncarnation(c *coder, v *identity.BeginIncarnation) {
	str(c, &v.Cluster)
	str(c, &v.Incarnation)
	num(c, &v.Why)
	list(c, &v.Writers, writerOf)
}

func incarnationBegun(c *coder, v *identity.IncarnationBegun) {
	str(c, &v.Cluster)
	str(c, &v.Incarnation)
	num(c, &v.Why)
	num(c, &v.At)
}

func incarnations(c *coder, v *identity.Incarnations) {
	list(c, &v.Former, func(c *coder, f *identity.FormerIncarnation) {
		str(c, &f.Cluster)
		str(c, &f.Incarnation)
		num(c, &f.Last)
		num(c, &f.Ended)
		num(c, &f.Why)
	})
}
