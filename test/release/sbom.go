package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// list writes what a binary is made of, as CycloneDX, and returns the file's name. It goes by what
// Go noted in the binary: the modules that are in it, not those that a test needs.
func (r *release) list(name string) (string, error) {
	info, err := buildinfo.ReadFile(filepath.Join(r.out, name))
	if err != nil {
		return "", fmt.Errorf("read what %s is made of: %w", name, err)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = "" // the same binary has the same list
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: "writ", Version: r.version, PackageURL: packageURL(info.Main.Path, r.version),
		Properties: &[]cdx.Property{{Name: "revision", Value: r.revision}},
	}}
	std := cdx.Component{Type: cdx.ComponentTypeLibrary, Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
	std.PackageURL = packageURL("std", std.Version)
	parts, refs := []cdx.Component{std}, []string{}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, cdx.Component{
			Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: packageURL(m.Path, m.Version),
			Properties: &[]cdx.Property{{Name: "go.sum", Value: m.Sum}},
		})
	}
	for i := range parts {
		parts[i].BOMRef = parts[i].PackageURL
		refs = append(refs, parts[i].BOMRef)
	}
	bom.Components = &parts
	bom.Dependencies = &[]cdx.Dependency{{Ref: name, Dependencies: &refs}}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
		return "", fmt.Errorf("list what %s is made of: %w", name, err)
	}
	return name + ".cdx.json", r.write(name+".cdx.json", b.Bytes())
}

// packageURL is a Go module as package URLs name it.
func packageURL(path, version string) string {
	return "pkg:golang/" + path + "@" + url.PathEscape(version)
}
