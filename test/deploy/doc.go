// Package deploy tests the files of docs/deploy: alert rules and the dashboard go by metrics that
// there are, and say what to do; Kubernetes takes the manifests, and their pods run.
package deploy
