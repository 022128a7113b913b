package runbooks

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/setup"
)

// story is how a runbook of the page is run.
type story struct {
	// needs says what this machine lacks, or nothing.
	needs func(h *hosts) string
	// cause brings the failure about.
	cause func(h *hosts) error
	// also is looked at before the page is followed.
	also func(t *testing.T, h *hosts)
}

var stories = map[string]story{
	"Lost quorum":                    {cause: stopMost, also: verbsWait},
	"Slow everywhere":                {cause: silence},
	"A disk is full":                 {needs: needsDisk, cause: fillDisk},
	"A clock jumped":                 {cause: func(h *hosts) error { return errors.Join(createApp(h), h.setClock(2*time.Hour)) }},
	"A certificate ends":             {cause: endCertificate},
	"A node's key was stolen":        {},
	"The authority's key was stolen": {},
	"An access key was stolen":       {needs: needsAWS, cause: stealAccessKey},
	"A session key was stolen":       {cause: startSession},
	"The seal key was stolen":        {},
	"A replica diverged":             {cause: fork},
	"Most writers are lost for good": {cause: loseMost},
	"Restore":                        {cause: makeRecipients},
}

func TestRunbooks(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs processes for a minute")
	}
	headings, steps := sections(t)
	h := newHosts(t)
	h.clocks = "r1"
	buildClock(t, h)
	mountDisk(t, h)
	h.open()
	for _, n := range h.cluster.Nodes() {
		if err := h.do("start", n.Name); err != nil {
			t.Fatal(err)
		}
	}
	h.whole(t)
	for name := range stories {
		if !slices.Contains(headings, name) {
			t.Errorf("the page has no runbook %q", name)
		}
	}
	for _, heading := range headings {
		well := t.Run(heading, func(t *testing.T) {
			s, known := stories[heading]
			switch {
			case !known:
				t.Fatal("nothing brings this failure about: add it to stories")
			case len(steps[heading]) == 0:
				t.Fatal("the page has no commands")
			}
			h.t = t
			if s.needs != nil {
				if lacks := s.needs(h); lacks != "" {
					t.Skip("not run, for this machine lacks " + lacks)
				}
			}
			if s.cause != nil {
				if err := s.cause(h); err != nil {
					t.Fatal(err)
				}
			}
			if s.also != nil {
				s.also(t, h)
			}
			for _, step := range steps[heading] {
				h.follow(t, step)
			}
			h.whole(t)
		})
		if h.t = t; !well {
			t.Fatal("the other runbooks need a cluster that is well")
		}
	}
}

// follow carries out a step of the page: one that looks until it shows what the page shows, any
// other once.
func (h *hosts) follow(t *testing.T, s step) {
	t.Helper()
	deadline := time.Now().Add(stepLimit)
	for {
		out, code := h.run(t.Context(), s.command)
		missing := s.missing(out)
		if len(s.prints) == 0 && code != 0 {
			missing = []string{"exit code 0"}
		}
		if len(missing) == 0 {
			t.Logf("$ %s\n%s", s.command, out)
			return
		}
		if !s.looks() || time.Now().After(deadline) {
			t.Fatalf("$ %s\nit does not print\n%s\nbut\n%s", s.command, strings.Join(missing, "\n"), out)
		}
		select { // between two looks
		case <-time.After(lookPause):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// whole waits until all is well: each story leaves it so to the next.
func (h *hosts) whole(t *testing.T) {
	t.Helper()
	h.follow(t, step{command: "writ status", prints: []string{"r1 replica leased …", "r2 replica leased …", "3 voters, which survive the failure of 1 more; laid out for 1", "exit code 0"}})
}

func buildClock(t *testing.T, h *hosts) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(h.bin, "clocknode"), "./test/chaos/clocknode")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build clocknode: %v\n%s", err, out)
	}
	if err := h.setClock(0); err != nil {
		t.Fatal(err)
	}
}

// diskSize leaves a little more than what a writer keeps free.
const diskSize = "340m"

// mountDisk gives w3 a small disk of its own, where this machine lets it.
func mountDisk(t *testing.T, h *hosts) {
	t.Helper()
	dir := h.data("w3")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 || exec.Command("mount", "-t", "tmpfs", "-o", "size="+diskSize, "writ-runbooks", dir).Run() != nil {
		return
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v\n%s", dir, err, out)
		}
	})
	if err := os.WriteFile(filepath.Join(h.dir, "mounted"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func needsDisk(h *hosts) string {
	if _, err := os.Stat(filepath.Join(h.dir, "mounted")); err != nil {
		return "the right to mount a small disk"
	}
	return needsAWS(h)
}

func needsAWS(*hosts) string {
	if _, err := exec.LookPath("aws"); err != nil {
		return "the aws CLI"
	}
	return ""
}

// iam calls an action as the root.
func (h *hosts) iam(action string, values ...string) (body string, err error) {
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	got, err := h.client().Query(context.Background(), "iam", action, form)
	if err != nil {
		return "", err
	}
	return string(got.Body), nil
}

// createApp makes a user, if it is not there.
func createApp(h *hosts) error {
	_, err := h.iam("CreateUser", "UserName", "app")
	var e *client.QueryError
	if errors.As(err, &e) && e.Code == "EntityAlreadyExists" {
		return nil
	}
	return err
}

func stopMost(h *hosts) error { return errors.Join(h.do("kill", "w2"), h.do("kill", "w3")) }

// verbsWait has verbs that need a leader say early that they wait for one, and how long, and end
// with one line that says why and what to do.
func verbsWait(t *testing.T, h *hosts) {
	const printed = 4 // that it waits, why it ends, an empty line, and its exit code
	waits := regexp.MustCompile(`(?m)^writ: waiting for a writer that leads(, at most (\d+)s more)?: none is known to .*`)
	var running sync.WaitGroup
	for _, verb := range []string{
		"cert list --timeout 15s", "writer list --timeout 15s", "writer transfer --timeout 15s", "seal rotate --timeout 15s", "seal status --timeout 15s", "verify --timeout 1s",
		"replica drain r1 --timeout 15s", "session-key rotate --timeout 15s", "account list --timeout 15s", "head --timeout 15s", "wait --head --timeout 15s", "backup none.age --unencrypted",
	} {
		running.Go(func() {
			out, code := h.run(t.Context(), "writ "+verb)
			said := waits.FindStringSubmatch(out)
			switch lines := strings.Split(strings.TrimSpace(out), "\n"); {
			case said == nil || code == 0 || len(lines) != printed:
				t.Errorf("writ %s does not say that it waits and why it ends, each in a line:\n%s", verb, out)
			case !strings.Contains(lines[1], "no writer leads") || !strings.Contains(lines[1], "`writ status`") || !strings.Contains(lines[1], "Lost quorum"):
				t.Errorf("writ %s ends without the cause or the next step:\n%s", verb, out)
			case strings.Contains(verb, "15s") && (said[2] == "" || len(said[2]) == 1 && said[2] < "5"):
				t.Errorf("writ %s says late that it waits: %s", verb, said[0])
			}
		})
	}
	running.Wait()
}

// silence makes a replica hold everything up that comes.
func silence(h *hosts) error {
	if err := h.do("freeze", "r2"); err != nil {
		return err
	}
	_, err := h.iam("CreateUser", "UserName", "unseen")
	return err
}

// fillDisk takes the room of the writer that leads.
func fillDisk(h *hosts) error {
	if out, code := h.run(context.Background(), "writ writer transfer w3"); code != 0 && !strings.Contains(out, "w3 leads") {
		return errors.New(out)
	}
	const filler = 84 << 20 // a little more than the room that there is
	return os.WriteFile(filepath.Join(h.data("w3"), "filler"), make([]byte, filler), 0o600)
}

// endCertificate gives r2 a certificate that ends soon.
func endCertificate(h *hosts) error {
	a, err := setup.LayoutAuthority(h.layout)
	if err != nil {
		return err
	}
	const soon = 8 * time.Second
	for _, n := range h.cluster.Nodes() {
		if n.Name == "r2" {
			_, err = a.Renew(h.layout, h.cluster.ID, n, setup.MinLife, time.Now().Add(soon-setup.MinLife))
		}
	}
	return err
}

func stealAccessKey(h *hosts) error {
	if err := createApp(h); err != nil {
		return err
	}
	text, err := h.iam("CreateAccessKey", "UserName", "app")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(text, "<AccessKeyId>")
	id, _, _ := strings.Cut(rest, "<")
	h.env = append(h.env, "STOLEN="+id)
	return nil
}

func startSession(h *hosts) error {
	_, err := h.client().Query(context.Background(), "sts", "GetFederationToken", url.Values{"Name": {"guest"}})
	return err
}

// fork puts the writers' directories back from before a write that r1 has seen, and has them
// write something else.
func fork(h *hosts) error {
	writers := []string{"w1", "w2", "w3"}
	each := func(verb string, names ...string) (err error) {
		for _, name := range names {
			err = errors.Join(err, h.do(verb, name))
		}
		return err
	}
	copies := func(flags string) (err error) {
		for _, name := range writers {
			from, to := h.data(name), filepath.Join(h.dir, "yesterday", name)
			if flags == "back" {
				from, to = to, from
			}
			out, failed := exec.Command("bash", "-c", `mkdir -p "$2" && rm -rf "$2"/* && cp -a "$1"/. "$2"/`, "-", from, to).CombinedOutput()
			if failed != nil {
				err = errors.Join(err, failed, errors.New(string(out)))
			}
		}
		return err
	}
	err := errors.Join(each("stop", writers...), copies("away"), each("start", writers...))
	if err != nil {
		return err
	}
	h.whole(h.t)
	for _, name := range []string{"lost-1", "lost-2", "lost-3"} {
		if _, err := h.iam("CreateUser", "UserName", name); err != nil {
			return err
		}
	}
	h.follow(h.t, step{command: "writ wait --head", prints: []string{"exit code 0"}})
	if err := errors.Join(each("stop", "r2", "r1"), each("stop", writers...), copies("back"), os.RemoveAll(h.data("r2")), each("start", writers...)); err != nil {
		return err
	}
	h.follow(h.t, step{command: "writ status", prints: []string{"3 voters, which survive the failure of 1 more; laid out for 1"}})
	for _, name := range []string{"other-1", "other-2", "other-3", "other-4", "other-5"} {
		if _, err := h.iam("CreateUser", "UserName", name); err != nil {
			return err
		}
	}
	return each("start", "r1", "r2")
}

func loseMost(h *hosts) error {
	if err := stopMost(h); err != nil {
		return err
	}
	out, err := exec.Command("bash", "-c", `rm -rf "$1"/* "$2"/*`, "-", h.data("w2"), h.data("w3")).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

// makeRecipients makes what age-keygen makes.
func makeRecipients(h *hosts) error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(h.dir, "backup-key.txt"), []byte(key.String()+"\n"), 0o600),
		os.WriteFile(filepath.Join(h.dir, "recipients.txt"), []byte(key.Recipient().String()+"\n"), 0o600))
}
