package iam

// Methods tells which methods an action has: Answer, or both Command and Render.
func Methods(a Action) (reads, writes bool) {
	_, reads = a.untyped.(untypedRead)
	_, writes = a.untyped.(untypedWrite)
	return reads, writes
}

// LinkedServices are the principals of the services that have roles of their own.
func LinkedServices() (names []string) {
	for _, s := range linkedServices {
		names = append(names, s.Service)
	}
	return names
}
