package catalogue

// Services are the prefixes of the services that are known, in order. The caller must
// not change them.
func (a *Names) Services() []string { return a.prefixes }

// Actions are the names of a service's actions, in order; none where they are not listed.
// The caller must not change them.
func (a *Names) Actions(service string) []string { return a.sorted[service] }
