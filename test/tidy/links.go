package tidy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	outside = regexp.MustCompile(`^[a-z]+:`)
	unnamed = regexp.MustCompile("[^a-z0-9 _-]")
)

// CheckLinks finds links of the pages under root that lead to no file, or to no heading of one.
func CheckLinks(root string) (violations []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if !outside.MatchString(m[1]) && !leads(path, m[1]) {
				violations = append(violations, fmt.Sprintf("%s: the link %s leads nowhere", path, m[1]))
			}
		}
		return nil
	})
	return violations, err
}

// leads tells whether a link of a page has a target.
func leads(page, to string) bool {
	file, anchor, _ := strings.Cut(to, "#")
	target := page
	if file != "" {
		target = filepath.Join(filepath.Dir(page), file)
	}
	if anchor == "" {
		_, err := os.Stat(target)
		return err == nil
	}
	text, err := os.ReadFile(target)
	return err == nil && slices.ContainsFunc(heading.FindAllStringSubmatch(string(text), -1), func(m []string) bool {
		return strings.ReplaceAll(unnamed.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-") == anchor
	})
}
