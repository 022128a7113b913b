package thumbprint

// NewAt returns a fetcher that connects to another port.
func NewAt(reach Reach, port string) *Fetcher {
	f := New(reach)
	f.port = port
	return f
}

// Fill takes places for a caller until it gets no more.
func (f *Fetcher) Fill(caller string) {
	for f.places.Take(caller, 1) == nil {
	}
}
