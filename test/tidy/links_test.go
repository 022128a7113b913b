package tidy

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLinks(t *testing.T) {
	violations, err := CheckLinks(root)
	if err != nil {
		t.Fatal(err)
	}
	report(t, violations)
}

func TestLinksThatLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	page := "# A page: of `links`\n[good](#a-page-of-links) [good](https://example.com/x) [good](page.md) [bad](gone.md) [bad](#gone)\n"
	if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := CheckLinks(dir); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}
