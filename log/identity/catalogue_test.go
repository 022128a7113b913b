package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCatalogue(t *testing.T) { run(t, catalogueSpecs()) }

// amazon is a policy of a catalogue.
func amazon(id ID, name string, versions ...PolicyVersion) CataloguePolicy {
	if len(versions) == 0 {
		versions = []PolicyVersion{{Number: 3, Document: "{" + name + "}", Created: past}}
	}
	return CataloguePolicy{ID: id, Name: name, Path: "/", Created: past - 1, Updated: past, Default: versions[len(versions)-1].Number, Versions: versions}
}

func texts(numbers ...int) (list []PolicyVersion) {
	for _, n := range numbers {
		list = append(list, PolicyVersion{Number: n, Document: fmt.Sprintf("{%d}", n), Created: past})
	}
	return list
}

// staged are the events that bring a catalogue, a part each.
func staged(parts ...[]CataloguePolicy) (events []Event) {
	of := CatalogueDigest(joined(parts...))
	for i, part := range parts {
		events = append(events, &CatalogueStaged{Catalogue: of, Part: uint32(i), Policies: part})
	}
	return events
}

// joined are the policies of all parts: one that is divided is whole again.
func joined(parts ...[]CataloguePolicy) (all []CataloguePolicy) {
	for _, p := range slices.Concat(parts...) {
		if n := len(all); n > 0 && all[n-1].ID == p.ID {
			all[n-1].Versions = slices.Concat(all[n-1].Versions, p.Versions)
		} else {
			all = append(all, p)
		}
	}
	return all
}

func catalogueSpecs() []spec {
	a, b := amazon("ANPAA", "A"), amazon("ANPAB", "b")
	one, both := []CataloguePolicy{a}, []CataloguePolicy{a, b}
	ofOne, ofBoth := CatalogueDigest(one), CatalogueDigest(both)
	stage := func(policies ...CataloguePolicy) *StageCatalogue {
		return &StageCatalogue{Catalogue: ofBoth, Policies: policies}
	}
	next := func(policies ...CataloguePolicy) *StageCatalogue {
		return &StageCatalogue{Catalogue: ofBoth, Part: 1, Policies: policies}
	}
	begun := []Event{&CatalogueStaged{Catalogue: ofBoth, Policies: one}}
	large := amazon("ANPAA", "A", PolicyVersion{Number: 1, Document: strings.Repeat(" ", MaxManagedDocument+1)})
	divided := staged([]CataloguePolicy{amazon("ANPAA", "A", texts(1, 2)...)}, []CataloguePolicy{amazon("ANPAA", "A", texts(7)...), b})
	ofDivided := divided[0].(*CatalogueStaged).Catalogue
	lacking := amazon("ANPAA", "A")
	lacking.Default = 2
	return append([]spec{
		{name: "the first part", when: stage(a), then: []Event{&CatalogueStaged{Catalogue: ofBoth, Policies: one}},
			check: func(s *spying) {
				if _, ok := s.Policy("arn:aws:iam::aws:policy/A"); ok || s.Count(AWSAccount, KindPolicy) != 0 {
					s.Error("it can be seen")
				}
			}},
		{name: "the next part", given: begun, when: next(b), then: []Event{&CatalogueStaged{Catalogue: ofBoth, Part: 1, Policies: []CataloguePolicy{b}}}},
		{name: "another one begins", given: begun, when: &StageCatalogue{Catalogue: ofOne, Policies: one},
			then: []Event{&CatalogueStaged{Catalogue: ofOne, Policies: one}},
			check: func(s *spying) {
				if got := s.Catalogue().Staged; got.Digest != ofOne || got.Policies != 1 || got.Parts != 1 || s.staged.Rows.Len() != 1 {
					s.Errorf("staged is %+v", got)
				}
			}},
		{name: "a part is missing", when: next(b), refused: "ConcurrentModification: Part 1 of the catalogue " + ofBoth + " is not the next: another import is under way. Begin again when it is over."},
		{name: "of another", given: staged(one), when: next(b), refused: "ConcurrentModification: Part 1 of the catalogue " + ofBoth + " is not the next: another import is under way. Begin again when it is over."},
		{name: "empty", when: stage(), refused: "InvalidInput: A part of a catalogue has a digest and at least one policy."},
		{name: "out of order", given: begun, when: next(amazon("ANPAC", "a")), refused: "InvalidInput: The policy a does not come after A."},
		{name: "one identifier twice", when: stage(a, amazon("ANPAA", "B")), refused: "EntityAlreadyExists: The unique identifier ANPAA is in use."},
		{name: "one identifier in two parts", given: []Event{&CatalogueStaged{Catalogue: ofBoth, Policies: both}}, when: next(amazon("ANPAA", "c")),
			refused: "EntityAlreadyExists: The unique identifier ANPAA is in use."},
		{name: "somebody's identifier", given: []Event{readS3}, when: stage(amazon("ANPA1", "ReadS3")), refused: "EntityAlreadyExists: The unique identifier ANPA1 is in use."},
		{name: "no version", when: stage(CataloguePolicy{ID: "ANPAA", Name: "A"}), refused: "LimitExceeded: The policy A has 0 versions, of at most 5."},
		{name: "six versions", given: staged([]CataloguePolicy{amazon("ANPAA", "A", texts(1, 2, 3, 4)...)}),
			when:    &StageCatalogue{Catalogue: CatalogueDigest([]CataloguePolicy{amazon("ANPAA", "A", texts(1, 2, 3, 4)...)}), Part: 1, Policies: []CataloguePolicy{amazon("ANPAA", "A", texts(5, 6)...)}},
			refused: "LimitExceeded: The policy A has 6 versions, of at most 5."},
		{name: "versions out of order", when: stage(amazon("ANPAA", "A", texts(2, 1)...)), refused: "InvalidInput: The versions of the policy A are not in order."},
		{name: "too long a text", when: stage(large), refused: "LimitExceeded: Version v1 of the policy A has 180225 bytes, of at most 180224."},

		{name: "whole", given: staged(one, []CataloguePolicy{b}), when: &InstallCatalogue{Catalogue: ofBoth, Parts: 2},
			then: []Event{&CatalogueInstalled{Catalogue: ofBoth, At: now}},
			check: func(s *spying) {
				p, _ := s.Policy("arn:aws:iam::aws:policy/A")
				if p == nil || p.ID != "ANPAA" || p.Created != past-1 || p.Default != 3 || p.Latest != 3 || p.Document() != "{A}" || p.Changed != s.Position() {
					s.Errorf("the policy is %+v", p)
				}
				if got := s.Catalogue(); got != (Catalogue{Number: 1, Digest: ofBoth, Policies: 2, Installed: now, At: s.Position()}) || s.staged.Rows.Len() != 0 {
					s.Errorf("the catalogue is %+v", got)
				}
			}},
		{name: "a policy in two parts", given: divided, when: &InstallCatalogue{Catalogue: ofDivided, Parts: 2},
			then: []Event{&CatalogueInstalled{Catalogue: ofDivided, At: now}},
			check: func(s *spying) {
				if p, _ := s.Policy("arn:aws:iam::aws:policy/A"); p == nil || len(p.Versions) != 3 || p.Latest != 7 || p.Document() != "{2}" {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "no default version", given: staged([]CataloguePolicy{lacking}), when: &InstallCatalogue{Catalogue: CatalogueDigest([]CataloguePolicy{lacking}), Parts: 1},
			refused: "InvalidInput: The default version of the policy A is not among its versions."},
		{name: "a part is missing", given: begun, when: &InstallCatalogue{Catalogue: ofBoth, Parts: 2},
			refused: "ConcurrentModification: The catalogue " + ofBoth + " is not what has come: another import is under way. Begin again when it is over."},
		{name: "not what was announced", given: begun, when: &InstallCatalogue{Catalogue: ofBoth, Parts: 1},
			refused: "InvalidInput: What has come has the digest " + ofOne + ", and not " + ofBoth + "."},
		{name: "nothing has come", when: &InstallCatalogue{}, refused: "ConcurrentModification: The catalogue  is not what has come: another import is under way. Begin again when it is over."},
		{name: "somebody took the identifier", given: append(staged([]CataloguePolicy{amazon("ANPA1", "A")}), readS3),
			when: &InstallCatalogue{Catalogue: CatalogueDigest([]CataloguePolicy{amazon("ANPA1", "A")}), Parts: 1}, refused: "EntityAlreadyExists: The unique identifier ANPA1 is in use."},
	}, replacingSpecs()...)
}

// replacingSpecs are about a catalogue after another.
func replacingSpecs() []spec {
	a, b := amazon("ANPAA", "A"), amazon("ANPAB", "b")
	was := append(staged([]CataloguePolicy{a, b}), &CatalogueInstalled{Catalogue: "first", At: past})
	attached := []Event{alice, &PolicyAttached{Kind: KindUser, ID: "AIDA1", Policy: "ANPAA"}, &BoundarySet{Kind: KindUser, ID: "AIDA1", Policy: "ANPAB"}}
	replaced := []CataloguePolicy{amazon("ANPAX", "a", PolicyVersion{Number: 4, Document: "{new}", Created: now}), amazon("ANPAB", "b"), amazon("ANPAC", "c")}
	other := []CataloguePolicy{amazon("ANPAC", "c")}
	install := func(p []CataloguePolicy) *InstallCatalogue {
		return &InstallCatalogue{Catalogue: CatalogueDigest(p), Parts: 1}
	}
	return []spec{
		{name: "unused ones go", given: slices.Concat(was, staged(other)), when: install(other),
			then: []Event{&CatalogueInstalled{Catalogue: CatalogueDigest(other), Removed: []string{"A", "b"}, At: now}},
			check: func(s *spying) {
				if n := s.Count(AWSAccount, KindPolicy); n != 1 || s.Catalogue().Number != 2 {
					s.Errorf("%d policies in catalogue %d", n, s.Catalogue().Number)
				}
			}},
		{name: "those in use stay", given: slices.Concat(was, attached, staged(other)), when: install(other),
			then: []Event{&CatalogueInstalled{Catalogue: CatalogueDigest(other), Kept: []string{"A", "b"}, At: now}},
			check: func(s *spying) {
				if p, ok := s.PolicyByID("ANPAA"); !ok || p.Document() != "{A}" || s.PermissionsChanged("AIDA1") == s.Position() {
					s.Errorf("the policy is %+v", p)
				}
			}},
		{name: "changed ones change who has them", given: slices.Concat(was, attached, staged(replaced)), when: install(replaced),
			then: []Event{&CatalogueInstalled{Catalogue: CatalogueDigest(replaced), At: now}},
			check: func(s *spying) {
				p, _ := s.Policy("arn:aws:iam::aws:policy/a")
				if p == nil || p.ID != "ANPAA" || p.Document() != "{new}" || s.PermissionsChanged("AIDA1") != s.Position() {
					s.Errorf("the policy in use is %+v", p)
				}
				if same, _ := s.PolicyByID("ANPAB"); same.Changed == s.Position() {
					s.Error("one that is the same has changed")
				}
			}},
		{name: "unused ones take their new identifier", given: slices.Concat(was, staged(replaced)), when: install(replaced),
			then: []Event{&CatalogueInstalled{Catalogue: CatalogueDigest(replaced), At: now}},
			check: func(s *spying) {
				if _, ok := s.PolicyByID("ANPAA"); ok || s.Count(AWSAccount, KindPolicy) != 3 {
					s.Error("the old identifier is there still")
				}
			}},
	}
}

func TestCatalogueLimits(t *testing.T) {
	s := given()
	many := make([]CataloguePolicy, MaxCataloguePolicies+1)
	for i := range many {
		many[i] = amazon(ID(fmt.Sprintf("ANPA%d", i)), fmt.Sprintf("%04d", i))
	}
	heavy := []CataloguePolicy{}
	text := strings.Repeat(" ", MaxManagedDocument)
	for i := range MaxCatalogueBytes/MaxManagedDocument + 1 {
		heavy = append(heavy, amazon(ID(fmt.Sprintf("ANPA%d", i)), fmt.Sprintf("%04d", i), PolicyVersion{Number: 1, Document: text}))
	}
	for want, list := range map[string][]CataloguePolicy{
		"LimitExceeded: Cannot exceed quota for policies in a catalogue: 3000":              many,
		"LimitExceeded: Cannot exceed quota for bytes of policies in a catalogue: 33554432": heavy,
	} {
		c := &StageCatalogue{Catalogue: "x", Policies: list}
		if _, err := Decide(s, Meta{}, c); err == nil || err.Error() != want {
			t.Errorf("%v, not %s", err, want)
		}
		c.Policies = list[:len(list)-1]
		if _, err := Decide(s, Meta{}, c); err != nil {
			t.Error(err)
		}
	}
}

// A catalogue has one digest, however it is divided, and another whatever changes.
func TestCatalogueDigest(t *testing.T) {
	whole := []CataloguePolicy{amazon("ANPAA", "A", texts(1, 2)...), amazon("ANPAB", "b")}
	s := given(&CatalogueStaged{Catalogue: "x", Policies: []CataloguePolicy{amazon("ANPAA", "A", texts(1)...)}},
		&CatalogueStaged{Catalogue: "x", Part: 1, Policies: []CataloguePolicy{amazon("ANPAA", "A", texts(2)...), amazon("ANPAB", "b")}})
	staged := s.Catalogue().Staged
	whole[0].Default = 1 // as its first part says
	if got, want := staged.found(), CatalogueDigest(whole); got != want || staged.Policies != 2 {
		t.Errorf("divided %s, whole %s", got, want)
	}
	verify(t, s)
	of := CatalogueDigest(whole)
	for what, change := range map[string]func(*CataloguePolicy){
		"name":    func(p *CataloguePolicy) { p.Name = "C" },
		"default": func(p *CataloguePolicy) { p.Default++ },
		"text":    func(p *CataloguePolicy) { p.Versions = texts(9) },
	} {
		other := slices.Clone(whole)
		if change(&other[1]); CatalogueDigest(other) == of {
			t.Errorf("another %s makes no other digest", what)
		}
	}
}
