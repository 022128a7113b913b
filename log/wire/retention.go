package wire

import "github.com/writ-iam/writ/log/identity"

func setRetention(c *coder, v *identity.SetRetention) {
	option(c, &v.Rule, retentionRule)
	option(c, &v.Floor, num[identity.Position])
}

func dropHistory(c *coder, v *identity.DropHistory) {
	num(c, &v.Through)
	c.fixed(v.Hash[:])
	num(c, &v.Newest)
}

func retentionSet(c *coder, v *identity.RetentionSet) {
	retentionRule(c, &v.Rule)
	num(c, &v.Floor)
}

func historyDropped(c *coder, v *identity.HistoryDropped) {
	num(c, &v.Through)
	c.fixed(v.Hash[:])
	num(c, &v.Newest)
	num(c, &v.At)
}

func retention(c *coder, v *identity.Retention) {
	retentionRule(c, &v.Rule)
	num(c, &v.Floor)
	historyDropped(c, (*identity.HistoryDropped)(&v.Dropped))
}

func retentionRule(c *coder, v *identity.RetentionRule) {
	num(c, &v.Days)
	num(c, &v.Positions)
}
