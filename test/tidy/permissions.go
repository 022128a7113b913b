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

// permission is a permission of Writ's own API as code and pages write it.
var permission = regexp.MustCompile(`\bwrit:[A-Z][A-Za-z]*\b`)

// permissionHome is where permissions are declared.
const permissionHome = "projection/policy/native.go"

// CheckPermissions reports permissions that are not among those that are known, in
// code and pages below root, and known ones that the server does not ask for or the
// description of the API does not tell of. Code that is no test writes them nowhere
// but in their home.
func CheckPermissions(root string, known []string) (violations []string, err error) {
	description, server := "", ""
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == ".git" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		code := strings.HasSuffix(name, ".go")
		if strings.HasSuffix(name, "_test.go") || !code && !slices.Contains([]string{".md", ".json", ".yml", ".yaml"}, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if name == "node/api/native/openapi.json" {
			description = string(text)
		}
		if strings.HasPrefix(name, "node/api/") && code {
			server += string(text)
		}
		for _, found := range permission.FindAllString(string(text), -1) {
			switch {
			case !slices.Contains(known, found):
				violations = append(violations, fmt.Sprintf("%s: there is no permission %s", name, found))
			case code && name != permissionHome && strings.Contains(string(text), `"`+found+`"`):
				violations = append(violations, fmt.Sprintf("%s: writes %s, which %s declares", name, found, permissionHome))
			}
		}
		return nil
	})
	for _, p := range known {
		if !strings.Contains(description, p) {
			violations = append(violations, "node/api/native/openapi.json does not tell of "+p)
		}
		if !strings.Contains(server, "policy.Action"+strings.TrimPrefix(p, "writ:")) {
			violations = append(violations, "node/api does not ask for "+p)
		}
	}
	return violations, err
}
