package thumbprint

import "net/netip"

// NewAt returns a fetcher that connects to another port.
func NewAt(reach Reach, port string) *Fetcher {
	f := New(reach)
	f.port = port
	return f
}

// Fill takes all places.
func (f *Fetcher) Fill() { f.places.TryAcquire(MaxFetches) }

// IsPublic is public.
func IsPublic(a netip.Addr) bool { return public(a) }
