package bearer

import (
	"net/http"
	"time"
)

// Request is the request that a token signs.
func (p *Presigned) Request(token string) (*http.Request, time.Time, error) { return p.request(token) }
