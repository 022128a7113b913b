// Package conformance holds tests that drive a running cluster with the clients
// that people use: the aws command line, boto3, the AWS SDK for Go and
// terraform, all unmodified. A client that is not installed is a skipped test.
package conformance
