package bridge

import "golang.org/x/sys/unix"

// peerCredentials is the user id of who connected to a socket.
func peerCredentials(fd int) (uid uint32, ok bool) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, false
	}
	return c.Uid, true
}
