// Package dispatch is the way of every request through a node, whatever the dialect: it
// is read and recorded, its caller is admitted in a view that may be answered from, or its
// command is proposed, again where that went stale; what needs the leader is handed on;
// and a refusal is answered by the table of package fault.
//
// A dialect is a [Surface]. [Dispatcher.Serve] carries one request of it through; what
// must hear of every request belongs there. A Surface reads by [Exchange.Find] and
// [Exchange.Authenticate], writes by [Exchange.Write], and tells by [Exchange.Right] whether
// its caller may still be told what took its time.
package dispatch
