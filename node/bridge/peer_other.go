//go:build !linux

package bridge

// peerCredentials knows nobody: only Linux is asked who connected to a socket.
func peerCredentials(int) (uid uint32, ok bool) { return 0, false }
