// Package kubernetes has tests with Kubernetes' own clients.
package kubernetes
