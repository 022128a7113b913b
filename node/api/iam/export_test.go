package iam

// Methods tells which methods an action has: Answer, or both Command and Render.
func Methods(a Action) (reads, writes bool) {
	_, reads = a.untyped.(untypedRead)
	_, writes = a.untyped.(untypedWrite)
	return reads, writes
}

// OrganizationRoot is the path of the organization's root.
var OrganizationRoot = organizationRoot
