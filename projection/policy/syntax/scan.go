package syntax

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// tokenKind tells what a token of JSON is.
type tokenKind byte

const (
	tokenEnd     tokenKind = iota // end of the text
	tokenInvalid                  // text that is no JSON; stops the parser
	tokenPunct                    // one of { } [ ] : ,
	tokenString                   // text holds the decoded string
	tokenNumber                   // text holds the number as written
	tokenBool                     // text is "true" or "false"
	tokenNull
)

// token is one token of JSON with the position of its first character.
type token struct {
	kind  tokenKind
	punct byte
	text  string
	Position
	end Position
}

// scanner splits JSON into tokens and counts lines and columns. It takes
// exactly what RFC 8259 allows, in valid UTF-8 without a byte order mark.
type scanner struct {
	text string
	off  int
	at   Position
}

func newScanner(text string) scanner {
	return scanner{text: text, at: Position{Line: 1, Column: 1}}
}

// skip moves n bytes of ASCII without line breaks forward.
func (s *scanner) skip(n int) {
	s.off += n
	s.at.Column += n
}

func (s *scanner) space() {
	for s.off < len(s.text) {
		switch s.text[s.off] {
		case ' ', '\t', '\r':
			s.skip(1)
		case '\n':
			s.off++
			s.at = Position{Line: s.at.Line + 1, Column: 1}
		default:
			return
		}
	}
}

// next returns the next token.
func (s *scanner) next() token {
	s.space()
	t := token{Position: s.at}
	if s.off == len(s.text) {
		t.kind, t.end = tokenEnd, s.at
		return t
	}
	switch c := s.text[s.off]; {
	case c == '{' || c == '}' || c == '[' || c == ']' || c == ':' || c == ',':
		t.kind, t.punct = tokenPunct, c
		s.skip(1)
	case c == '"':
		t.kind, t.text = s.scanString()
	case c == '-' || '0' <= c && c <= '9':
		t.kind, t.text = s.scanNumber()
	default:
		t.kind, t.text = s.scanWord()
	}
	t.end = s.at
	return t
}

func (s *scanner) scanWord() (tokenKind, string) {
	rest := s.text[s.off:]
	for _, word := range [...]struct {
		text string
		kind tokenKind
	}{{"true", tokenBool}, {"false", tokenBool}, {"null", tokenNull}} {
		if len(rest) >= len(word.text) && rest[:len(word.text)] == word.text {
			s.skip(len(word.text))
			return word.kind, word.text
		}
	}
	return tokenInvalid, ""
}

// digits moves over decimal digits and returns how many there were.
func (s *scanner) digits() int {
	start := s.off
	for s.off < len(s.text) && '0' <= s.text[s.off] && s.text[s.off] <= '9' {
		s.skip(1)
	}
	return s.off - start
}

// accept moves over one character of the set, if it is next.
func (s *scanner) accept(set string) bool {
	for i := 0; s.off < len(s.text) && i < len(set); i++ {
		if s.text[s.off] == set[i] {
			s.skip(1)
			return true
		}
	}
	return false
}

func (s *scanner) scanNumber() (tokenKind, string) {
	start := s.off
	s.accept("-")
	first := s.off
	n := s.digits()
	if n == 0 || n > 1 && s.text[first] == '0' {
		return tokenInvalid, ""
	}
	if s.accept(".") && s.digits() == 0 {
		return tokenInvalid, ""
	}
	if s.accept("eE") {
		s.accept("+-")
		if s.digits() == 0 {
			return tokenInvalid, ""
		}
	}
	return tokenNumber, s.text[start:s.off]
}

// scanString decodes a string. A string without escapes is a part of the text,
// not a copy.
func (s *scanner) scanString() (tokenKind, string) {
	s.skip(1)
	start := s.off
	var decoded []byte
	escaped := false
	for s.off < len(s.text) {
		c := s.text[s.off]
		switch {
		case c == '"':
			plain := s.text[start:s.off]
			s.skip(1)
			if escaped {
				return tokenString, string(decoded)
			}
			return tokenString, plain
		case c < ' ':
			return tokenInvalid, ""
		case c == '\\':
			if !escaped {
				escaped = true
				decoded = append(decoded, s.text[start:s.off]...)
			}
			r, ok := s.scanEscape()
			if !ok {
				return tokenInvalid, ""
			}
			decoded = utf8.AppendRune(decoded, r)
		default:
			r, size := utf8.DecodeRuneInString(s.text[s.off:])
			if r == utf8.RuneError && size == 1 {
				return tokenInvalid, ""
			}
			if escaped {
				decoded = append(decoded, s.text[s.off:s.off+size]...)
			}
			s.off += size
			s.at.Column++
		}
	}
	return tokenInvalid, ""
}

// scanEscape decodes one escape sequence. Half a surrogate pair is refused:
// it is no character, and no document could be printed with it.
func (s *scanner) scanEscape() (rune, bool) {
	s.skip(1)
	if s.off == len(s.text) {
		return 0, false
	}
	c := s.text[s.off]
	s.skip(1)
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		r, ok := s.scanHex()
		if !ok || !utf16.IsSurrogate(r) {
			return r, ok
		}
		if !s.accept(`\`) || !s.accept("u") {
			return 0, false
		}
		low, ok := s.scanHex()
		r = utf16.DecodeRune(r, low)
		return r, ok && r != utf8.RuneError
	}
	return 0, false
}

func (s *scanner) scanHex() (rune, bool) {
	if len(s.text)-s.off < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[s.off:s.off+4], 16, 16)
	if err != nil {
		return 0, false
	}
	s.skip(4)
	return rune(n), true
}
