package identity

import (
	"strings"
	"testing"
)

func TestIsEmail(t *testing.T) {
	for _, text := range []string{"a@b.cd", "Ops+root@example.com", "o.p_s@sub.example-1.co", strings.Repeat("a", 52) + "@example.com"} {
		if !IsEmail(text) {
			t.Errorf("%s is none", text)
		}
	}
	for _, text := range []string{"", "a@b.c", "ops", "ops@example", "@example.com", ".ops@example.com", "o ps@example.com", "o@ps@example.com", "ops@-a.com", "ops@a-.com",
		"ops@example..com", "ops@.example.com", "ops@example.com.", "öps@example.com", "ops@exämple.com", "o,ps@example.com", "ops@example.com\n", "<ops@example.com>", strings.Repeat("a", 53) + "@example.com"} {
		if IsEmail(text) {
			t.Errorf("%s is one", text)
		}
	}
}
