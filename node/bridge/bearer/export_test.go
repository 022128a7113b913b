package bearer

import "net/http"

// Request is the request that a token signs.
func (p *Presigned) Request(token string) (*http.Request, error) { return p.request(token) }
