package signin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// maxSecrets is how many bytes are read of a file that holds a password.
const maxSecrets = 4096

// secret is one that is asked for.
type secret struct {
	into   *string
	name   string // at the terminal
	hidden bool   // it is not shown as it is typed
}

// ask reads the password, and what else the flags say, from the file that they name or at the
// terminal.
func (f *flags) ask(in io.Reader) error {
	wanted := []secret{{&f.with.Password, "Password", true}}
	if f.code {
		wanted = append(wanted, secret{&f.with.MFACode, "MFA code", false})
	}
	if f.change {
		wanted = append(wanted, secret{&f.with.NewPassword, "New password", true})
	}
	if f.passwordFile == "" {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("there is no terminal to ask for the password at, give --password-file: %w", err)
		}
		defer tty.Close()
		return f.prompt(tty, wanted)
	}
	if f.passwordFile != "-" {
		file, err := os.Open(f.passwordFile)
		if err != nil {
			return fmt.Errorf("open the file of the password: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(io.LimitReader(in, maxSecrets)) // which drops the ends of lines
	for _, s := range wanted {
		if !lines.Scan() || lines.Text() == "" {
			return fmt.Errorf("%s holds too little: the password, and what --mfa and --new-password say, have a line each", f.passwordFile)
		}
		*s.into = lines.Text()
	}
	return nil
}

// prompt asks at a terminal. A new password is asked for twice.
func (f *flags) prompt(tty *os.File, wanted []secret) error {
	typed := bufio.NewReader(tty)
	for _, s := range wanted {
		text, err := read(tty, typed, s)
		if err != nil {
			return err
		}
		*s.into = text
		if s.into != &f.with.NewPassword {
			continue
		}
		s.name += " again"
		if again, err := read(tty, typed, s); err != nil {
			return err
		} else if again != text {
			return errors.New("the new password was typed in two ways")
		}
	}
	return nil
}

// read asks for one secret at a terminal.
func read(tty *os.File, typed *bufio.Reader, s secret) (string, error) {
	fmt.Fprint(tty, s.name+": ")
	if s.hidden {
		text, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(tty)
		if err != nil {
			return "", fmt.Errorf("read at the terminal: %w", err)
		}
		return string(text), nil
	}
	text, err := typed.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read at the terminal: %w", err)
	}
	return text[:len(text)-1], nil
}
