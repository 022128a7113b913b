package setup

// MaxFile is for tests of what is too large.
const MaxFile = maxConfigSize

// ValidateRoot says what is wrong with a root's key.
func ValidateRoot(k RootKey) error { return k.validate() }
