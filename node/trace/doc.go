// Package trace tells a collector by OpenTelemetry where the time of requests goes: traces, as
// the OTEL_* variables of the environment ask for them.
//
// A trace follows one request from the node that it came to, over the leader, Raft and the
// stream, to the view of each replica. Nothing of it enters the log: what it takes from one
// stage to the next travels beside the request and beside the batch, and is believed for
// telemetry alone. Without those variables there is no Tracer; all methods of a nil one do
// nothing.
//
// A span names a request by its id and its action, which are no secrets, and says what came of
// it. No ARN, account, address, key, signature, token, parameter or body is in one.
package trace
