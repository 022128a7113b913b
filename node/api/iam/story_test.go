package iam_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
)

var update = flag.Bool("update", false, "write the answers of this run into testdata")

// TestStories runs testdata/*.txt: calls of actions and what they answer. A line is
//
//	# a comment
//	as root | as root of ACCOUNT | as user NAME
//	again                  the latest write is asked for once more
//	access ACTION INPUT    what the caller must be allowed
//	ACTION INPUT           a call; INPUT is JSON, with policy documents as JSON or text
//
// and the answer follows, indented. Unique identifiers show as AIDA1, AIDA2 and
// so on in the order in which they turn up, also in inputs. Documents show
// decoded; certificates and keys by the names of files, as in "file://site.crt". Run with -update after a change, and read the difference.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("stories: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runStory(t, newWorld(t), string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
			for i := range min(len(wantLines), len(gotLines)) {
				if wantLines[i] != gotLines[i] {
					t.Fatalf("%s:%d\ngot  %s\nwant %s", file, i+1, gotLines[i], wantLines[i])
				}
			}
			if len(wantLines) != len(gotLines) {
				t.Fatalf("%s: %d lines, want %d", file, len(gotLines), len(wantLines))
			}
		})
	}
}

// The same stories, in another partition: every ARN that is told there names it, and what
// names aws names nothing. In longer texts matches stand at other columns.
func TestStoriesInAnotherPartition(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	columns := regexp.MustCompile(`"Column":\d+|less than or equal to \d+`) // ARNs are longer
	swap := strings.NewReplacer("arn:aws:", "arn:aws-cn:", "arn:aws-cn:", "arn:aws:")
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := swap.Replace(string(text))
			wantLines, gotLines := strings.Split(want, "\n"), strings.Split(runStory(t, newWorldIn(t, identity.PartitionCN), want), "\n")
			for i := range min(len(wantLines), len(gotLines)) {
				if columns.ReplaceAllString(wantLines[i], "") != columns.ReplaceAllString(gotLines[i], "") {
					t.Errorf("%s:%d\ngot  %s\nwant %s", file, i+1, gotLines[i], wantLines[i])
				}
			}
		})
	}
}

func runStory(t *testing.T, w *world, text string) string {
	names := &names{}
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, " ") {
			continue
		}
		out.WriteString(line)
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		var result string
		switch {
		case line == "" || verb == "#":
			continue
		case verb == "as":
			w.as(rest)
			continue
		case verb == "again":
			result = answer(w.again())
		case verb == "access":
			result = w.access(names, rest)
		default:
			in, _ := w.input(names, line)
			result = answer(w.do(in))
			if code, _, failed := strings.Cut(result, ": "); failed && !strings.Contains(code, " ") {
				if _, known := model.IAM().Status(code); !known {
					t.Errorf("%s: the model has no status for %s", line, code)
				}
			}
		}
		for line := range strings.Lines(shorten(result)) {
			out.WriteString("  " + names.hide(hideFiles(line)))
		}
	}
	return out.String()
}

func (w *world) as(who string) {
	switch kind, name, _ := strings.Cut(who, " "); {
	case who == "root":
		w.asRoot()
	case kind == "root":
		w.asRootOf(identity.AccountID(strings.TrimPrefix(name, "of ")))
	default:
		w.asUser(name)
	}
}

// input reads an action and its input.
func (w *world) input(names *names, line string) (any, *iam.Action) {
	w.t.Helper()
	name, text, _ := strings.Cut(line, " ")
	action, ok := iam.Find(name)
	if !ok {
		w.t.Fatalf("no action %s", name)
	}
	in := action.New()
	if text == "" {
		return in, action
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(showFiles(names.show(text))), &members); err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	for key, value := range members {
		if strings.HasSuffix(key, "Document") && value[0] == '{' {
			document, err := json.Marshal(string(value))
			if err != nil {
				w.t.Fatal(err)
			}
			members[key] = document
		}
	}
	whole, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(whole, in); err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	return in, action
}

func (w *world) access(names *names, line string) string {
	in, action := w.input(names, line)
	var b strings.Builder
	for _, a := range action.Access(w.call(), in) {
		fmt.Fprintf(&b, "%s on %s", a.Action, a.Resource)
		if a.Account != w.caller.Account {
			fmt.Fprintf(&b, " of %s", a.Account)
		}
		for _, e := range a.Context {
			fmt.Fprintf(&b, " %s=%s", e.Key, e.Value)
			if e.Multivalued {
				fmt.Fprintf(&b, "%v", e.Values)
			}
		}
		if a.Granted {
			b.WriteString(", which the account grants")
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

var encoded = regexp.MustCompile(`"(%7B[^"]*)"`)

// shorten shows encoded documents decoded, in single quotes.
func shorten(text string) string {
	return encoded.ReplaceAllStringFunc(text, func(m string) string {
		plain, err := url.PathUnescape(m[1 : len(m)-1])
		if err != nil || strings.ContainsAny(plain, "'\n") {
			return m
		}
		return "'" + plain + "'"
	})
}

// names gives short names to what is random.
type names struct {
	real  map[string]string // by short name
	short map[string]string
	count map[string]int
}

var (
	random = regexp.MustCompile(`\b(AIDA|AGPA|AROA|ANPA|AIPA|ASCA|APKA|ACCA)[A-Z2-7]{17}\b|\b[A-Z2-7]{32}\b|\bAKIA[A-Z2-7]{16}\b` +
		`|\b(SAMLSP|SAMLPK)[A-Z2-7]{20}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|"SecretAccessKey":"[A-Za-z0-9+/]{40}"` +
		`|"(?:Base32StringSeed|QRCodePNG)":"[A-Za-z0-9+/=]+"|"ServicePassword":"[A-Za-z0-9+/]{43}="|"ServiceCredentialSecret":"ABSK[A-Za-z0-9+/=]+"`)
	shortName = regexp.MustCompile(`\b(AIDA|AGPA|AROA|ANPA|AIPA|ASCA|APKA|ACCA|AKIA|UUID|CERT)[0-9]+\b`)
)

func (n *names) hide(text string) string {
	if n.real == nil {
		n.real, n.short, n.count = map[string]string{}, map[string]string{}, map[string]int{}
	}
	return random.ReplaceAllStringFunc(text, func(id string) string {
		if s, ok := n.short[id]; ok {
			return s
		}
		kind := id[:4]
		if kind[0] == '"' {
			kind = "SECRET"
		}
		if id[8] == '-' {
			kind = "UUID"
		}
		if len(id) == 32 {
			kind = "CERT"
		}
		n.count[kind]++
		s := fmt.Sprintf("%s%d", kind, n.count[kind])
		n.short[id], n.real[s] = s, id
		return s
	})
}

func (n *names) show(text string) string {
	return shortName.ReplaceAllStringFunc(text, func(s string) string {
		if id, ok := n.real[s]; ok {
			return id
		}
		return s
	})
}
