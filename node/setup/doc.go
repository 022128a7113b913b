// Package setup lays a cluster out: the file that all its nodes share, the authority
// that issues their certificates, the keys that its secrets are sealed by and the
// root's access key; and it reads these back. It says who a cluster's nodes are, in
// which roles and at which addresses; package peer connects them.
package setup
