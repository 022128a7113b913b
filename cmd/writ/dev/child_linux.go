package dev

import "syscall"

// childAttributes makes a node end when the process that watches it does, even by
// kill -9, and keeps the terminal's interrupt from reaching it: its parent tells it
// to stop.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
