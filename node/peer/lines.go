package peer

import (
	"crypto/tls"
	"sync"
)

// lines are the connections that other writers' logs have opened.
type lines struct {
	mu   sync.Mutex
	open map[*line]struct{} // guarded by mu
}

// line is one of them.
type line struct {
	*tls.Conn
	who   ID
	among *lines
}

func (l *lines) add(c *tls.Conn) *line {
	one := &line{c, Of(c.ConnectionState().PeerCertificates[0]), l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[*line]struct{})
	}
	l.open[one] = struct{}{}
	return one
}

// Close closes the connection.
func (l *line) Close() error {
	l.among.mu.Lock()
	delete(l.among.open, l)
	l.among.mu.Unlock()
	return l.Conn.Close()
}

// expel closes the connections of those who are barred.
func (l *lines) expel(barred func(ID) bool) {
	l.mu.Lock()
	var out []*line
	for one := range l.open {
		if barred(one.who) {
			out = append(out, one)
		}
	}
	l.mu.Unlock()
	for _, one := range out {
		one.Close() // whoever reads it finds out
	}
}

// Expel closes all connections of those who are barred. They were let in before; whoever comes
// later is looked at then.
func (p *Port) Expel(barred func(ID) bool) {
	p.guests.Expel(barred)
	p.lines.expel(barred)
}
