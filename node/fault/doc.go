// Package fault is why a request is not carried out, and what its caller is told: one
// type ([Fault]) and one table, of what each [Code] is on the wire.
//
// Every error on its way to a caller becomes a Fault ([Of]). It has two faces: the
// native API's, problem details with a hint for people ([Fault.Native]), and that of
// AWS's protocols, a code and a message in AWS's words ([Fault.AWS]). Where the two
// differ in code, status or text, the table says so.
//
// A code that is not in the table cannot be answered: a Fault is made of a Code alone,
// and an error that names another code is answered as [InternalFailure].
package fault
