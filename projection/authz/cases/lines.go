package cases

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line of a file of cases, in bytes. A user in ten
// groups, all with as many policies as AWS allows, needs a fifth of it.
const MaxLine = 4 << 20

// ErrLong is returned for a line longer than MaxLine.
var ErrLong = fmt.Errorf("longer than %d bytes; a case is one line", MaxLine)

// EachLine calls do with every line that is not blank, counting from 1. A line
// that is too long comes as ErrLong. It fails when reading does.
func EachLine(r io.Reader, do func(line int, text []byte, err error)) error {
	lines := bufio.NewReaderSize(r, MaxLine)
	for n := 1; ; n++ {
		text, err := lines.ReadSlice('\n')
		var bad error
		for errors.Is(err, bufio.ErrBufferFull) {
			bad = ErrLong
			_, err = lines.ReadSlice('\n')
		}
		if text = bytes.TrimSpace(text); len(text) > 0 || bad != nil {
			do(n, text, bad)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
