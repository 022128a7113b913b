// Package deploy tests the files of deploy/: alert rules and the dashboard go by metrics that
// there are, and say what to do.
package deploy
