package signin

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal shows neither password as it is typed, and the code.
func TestTerminalsShowNoPassword(t *testing.T) {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer keyboard.Close()
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	f := flags{code: true, change: true}
	done := make(chan error, 1)
	go func() {
		done <- f.prompt(tty, []secret{{&f.with.Password, "Password", true}, {&f.with.MFACode, "MFA code", false}, {&f.with.NewPassword, "New password", true}})
	}()
	var shown strings.Builder
	for _, step := range []struct{ prompt, typed string }{
		{"Password: ", "hush-one"}, {"MFA code: ", "123456"}, {"New password: ", "hush-two"}, {"New password again: ", "hush-two"},
	} {
		for b := make([]byte, 256); !strings.HasSuffix(shown.String(), step.prompt); {
			n, err := keyboard.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			shown.Write(b[:n])
		}
		for echoes(t, tty) == (step.prompt != "MFA code: ") { // it turns that off after it prompts
			runtime.Gosched()
		}
		fmt.Fprintln(keyboard, step.typed)
	}
	if err := <-done; err != nil || f.with.Password != "hush-one" || f.with.MFACode != "123456" || f.with.NewPassword != "hush-two" {
		t.Errorf("%+v, %v", f.with, err)
	}
	if strings.Contains(shown.String(), "hush") {
		t.Errorf("the terminal shows %q", shown.String())
	}
}

// echoes tells whether a terminal shows what is typed.
func echoes(t *testing.T, tty *os.File) bool {
	settings, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Lflag&unix.ECHO != 0
}
