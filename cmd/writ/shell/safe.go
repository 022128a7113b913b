package shell

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// Printer is what verbs print to. What they print comes from other nodes, too: so it shows what
// a terminal would obey, or would show as something else, instead of passing it on. It writes
// such a rune as \u and its number in four digits, which JSON reads as that rune, and a byte
// that is no part of a text as \x and two digits. It is safe for concurrent use.
type Printer struct {
	out io.Writer

	mu   sync.Mutex
	part []byte // the begin of a rune whose end has not come; guarded by mu
}

// Safe returns a printer to out.
func Safe(out io.Writer) *Printer { return &Printer{out: out} }

// Raw returns what a printer prints to, for bytes that are no text; another writer as it is.
func Raw(w io.Writer) io.Writer {
	if p, ok := w.(*Printer); ok {
		return p.out
	}
	return w
}

// Write prints a text.
func (p *Printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := append(p.part, b...)
	end := len(text)
	for cut := max(0, end-utf8.UTFMax+1); cut < end; cut++ {
		if utf8.RuneStart(text[cut]) && !utf8.FullRune(text[cut:]) {
			end = cut
			break
		}
	}
	p.part = append([]byte(nil), text[end:]...)
	if _, err := io.WriteString(p.out, Text(string(text[:end]))); err != nil {
		return 0, fmt.Errorf("print: %w", err)
	}
	return len(b), nil
}

// Text is a text as a printer shows it.
func Text(s string) string {
	if strings.IndexFunc(s, hostile) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r != utf8.RuneError && hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// hostile tells whether a terminal obeys a rune, or shows what is behind it in another order.
// A rune that stands for a broken byte counts, so that Text looks at it.
func hostile(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == utf8.RuneError:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// Cell is a text from elsewhere for one cell of a table: it ends neither the cell nor the line.
func Cell(s string) string {
	return strings.NewReplacer("\n", `\u000a`, "\t", `\u0009`).Replace(Text(s))
}

// OneLine is a message in one line: what joined errors say in several stands with semicolons
// between.
func OneLine(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		switch said := b.String(); {
		case said == "", line[0] == ';':
		case strings.HasSuffix(said, ":"), strings.HasSuffix(said, "?"), strings.HasSuffix(said, ";"):
			b.WriteString(" ")
		default:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
