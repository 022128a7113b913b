package identity

import "strings"

// Limits of e-mail addresses ("CreateAccount" in the Organizations API Reference).
const (
	minEmail = 6
	maxEmail = 64
)

// IsEmail tells whether a text can be the e-mail address of a root. It is grammar, which the
// edge goes by: nothing is decided by it.
func IsEmail(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	if !ok || len(text) < minEmail || len(text) > maxEmail || local == "" || local[0] == '.' || !strings.Contains(domain, ".") {
		return false
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range len(local) {
		if c := local[i]; c <= ' ' || c > '~' || strings.IndexByte("\"'()<>[]:;,\\|%&", c) >= 0 {
			return false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, letters+"0123456789-") != "" {
			return false
		}
	}
	return true
}
