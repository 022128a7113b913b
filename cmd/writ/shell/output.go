package shell

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// Output is how a command prints what it found.
type Output struct {
	// Format is "text", which also the zero Output means, or "json".
	Format string
}

// Flag declares --output.
func (o *Output) Flag(flags *pflag.FlagSet) {
	flags.StringVarP(&o.Format, "output", "o", "text", "text or json")
}

// JSON tells that JSON is wanted.
func (o *Output) JSON() bool { return o.Format == "json" }

// Check refuses a format that there is not.
func (o *Output) Check() error {
	if o.Format != "text" && o.Format != "json" {
		return Usage("--output is %q; use text or json", o.Format)
	}
	return nil
}

// PrintJSON writes v as indented JSON.
func PrintJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}
