package bridge

import (
	"net"
	"syscall"
)

// PeerOf is the user id of the process at the other end of a Unix socket, by SO_PEERCRED.
func PeerOf(conn net.Conn) (uid uint32, ok bool) {
	for {
		wrapped, is := conn.(interface{ NetConn() net.Conn })
		if !is {
			break
		}
		conn = wrapped.NetConn()
	}
	c, is := conn.(syscall.Conn)
	if _, unix := conn.RemoteAddr().(*net.UnixAddr); !is || !unix {
		return 0, false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) { uid, ok = peerCredentials(int(fd)) })
	return uid, ok && err == nil
}
