//go:build !linux

package dev

import "syscall"

// childAttributes keeps the terminal's interrupt from a node: its parent tells it
// to stop.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
