// Package pipeline holds what people do with Writ in their pipelines: the examples
// of cmd/writ/PIPELINES.md and the GitHub action of this repository, each taken
// from there and run against a cluster of real processes.
package pipeline
