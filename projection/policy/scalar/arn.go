package scalar

// ARNColons is how many colons separate the six fields of an ARN; the sixth,
// the resource, may hold more of them.
const ARNColons = 5
