package api

import (
	"fmt"
	"net/http"
	"strings"
)

// Check is one line of /readyz: a part of the node, and what is wrong with it.
type Check struct {
	Name   string
	Detail string // shown when verbose, such as a lag
	Err    error  // nil when the part is in order
}

func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// readyz answers 200 when every check passes, else 503; with "verbose" in the
// query, or when something fails, it lists them.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	var text strings.Builder
	ready := true
	for _, c := range s.cfg.Node.Condition.Checks() {
		switch {
		case c.Err != nil:
			ready = false
			fmt.Fprintf(&text, "[-]%s failed: %v\n", c.Name, c.Err)
		case c.Detail != "":
			fmt.Fprintf(&text, "[+]%s ok: %s\n", c.Name, c.Detail)
		default:
			fmt.Fprintf(&text, "[+]%s ok\n", c.Name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, text.String(), "readyz check failed\n")
		return
	}
	if r.URL.Query().Has("verbose") {
		fmt.Fprint(w, text.String(), "readyz check passed\n")
		return
	}
	fmt.Fprintln(w, "ok")
}
