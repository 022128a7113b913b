package shell

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// once is the value of a flag that may be given once: of two values one would be
// passed over, and the exit code be about the other alone.
type once struct {
	pflag.Value
	given bool
}

// Set takes the first value.
func (o *once) Set(text string) error {
	if o.given {
		return errors.New("it is given twice; give it once")
	}
	o.given = true
	return o.Value.Set(text)
}

// GiveOnce refuses flags that are given twice, but for lists, of a command and of those
// below it.
func GiveOnce(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		GiveOnce(sub)
	}
	for _, flags := range [...]*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if _, list := f.Value.(pflag.SliceValue); list {
				return
			}
			if f.DefValue == "0s" {
				f.DefValue = "0" // by which help knows a default that is none
			}
			f.Value = &once{Value: f.Value}
		})
	}
}
