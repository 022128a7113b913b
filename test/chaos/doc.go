// Package chaos kills, stops and starves real processes of a cluster while clients
// use it, and judges afterwards: nothing acknowledged is lost, nothing happened
// twice, and all nodes hold the same state. Package rig does it for long, with every
// fault that it knows.
package chaos
