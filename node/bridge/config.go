package bridge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/writ-iam/writ/projection/authz"
)

// ErrConfig is wrapped by errors that say what is wrong with a file of doors or of a mapping.
var ErrConfig = errors.New("the bridge's file is wrong")

// Limits of a file of doors.
const (
	// MaxDoors is how many doors a node has, and MaxCallers how many callers one of them knows.
	MaxDoors, MaxCallers = 32, 256
	// MaxFile bounds the file, and each file of a mapping, in bytes.
	MaxFile = 1 << 20
	// minBearer is how long a bearer token is at least, in bytes.
	minBearer = 16
)

// schemeUnix begins the address of a Unix socket.
const schemeUnix = "unix:"

// Door is where services ask.
type Door struct {
	// Listen is host:port, or unix:PATH.
	Listen string `yaml:"listen"`
	// Mode is of the socket's file, such as 0660; 0 is 0600.
	Mode os.FileMode `yaml:"mode,omitempty"`
	// TLS makes the port one of TLS.
	TLS *TLS `yaml:"tls,omitempty"`
	// Serve are the protocols by their names, each with the path of its mapping; empty for
	// what the protocol does without one.
	Serve map[string]string `yaml:"serve"`
	// Callers are those that the door knows. The first that fits a request counts.
	Callers []Caller `yaml:"callers"`
}

// TLS is what a door shows, and whose client certificates it takes. Paths are of PEM files.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA are the certificate authorities of clients; empty: certificates are not asked for.
	ClientCA string `yaml:"client_ca,omitempty"`
}

// Caller is one that a door knows, by exactly one of the fields before AsksAs.
type Caller struct {
	// BearerFile has the token that Authorization: Bearer shows.
	BearerFile string `yaml:"bearer_file,omitempty"`
	// Certificate is the common name of the client certificate.
	Certificate string `yaml:"certificate,omitempty"`
	// UID is of the process at the other end of a Unix socket.
	UID *uint32 `yaml:"uid,omitempty"`
	// Anybody is whoever reaches the door, which then is on loopback or a socket.
	Anybody bool `yaml:"anybody,omitempty"`
	// Signed is whoever signs with SigV4 for the service writ, and asks as itself.
	Signed bool `yaml:"signed,omitempty"`

	// AsksAs is the ARN of the user or role as which the caller asks.
	AsksAs string `yaml:"asks_as,omitempty"`

	bearer [sha256.Size]byte // its hash
}

// Unix is the path of a door's socket.
func (d *Door) Unix() (path string, ok bool) { return strings.CutPrefix(d.Listen, schemeUnix) }

// Load reads a file of doors. Paths in it are relative to its directory. Errors wrap ErrConfig,
// or say why a file cannot be read.
func Load(path string) ([]Door, error) {
	var file struct {
		Doors []Door `yaml:"doors"`
	}
	if err := ReadFile(path, &file); err != nil {
		return nil, err
	}
	if len(file.Doors) == 0 || len(file.Doors) > MaxDoors {
		return nil, fmt.Errorf("%w: %s has %d doors: give 1 to %d", ErrConfig, path, len(file.Doors), MaxDoors)
	}
	seen := map[string]bool{}
	for i := range file.Doors {
		d := &file.Doors[i]
		if err := d.complete(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("%w: %s: door %d (%s): %w", ErrConfig, path, i+1, d.Listen, err)
		}
		if seen[d.Listen] {
			return nil, fmt.Errorf("%w: %s: two doors listen on %s", ErrConfig, path, d.Listen)
		}
		seen[d.Listen] = true
	}
	return file.Doors, nil
}

// ReadFile reads a YAML file of at most MaxFile bytes that has one document with the fields of
// into and no others. What is wrong in it is told with its line.
func ReadFile(path string, into any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the bridge's file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > MaxFile {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrConfig, path, MaxFile)
	}
	return Parse(path, text, into)
}

// Parse is ReadFile for a text; name is what errors call it.
func Parse(name string, text []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: %w", ErrConfig, name, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: there is more than one document", ErrConfig, name)
	}
	return nil
}

// complete checks a door, reads its tokens, and makes its paths absolute.
func (d *Door) complete(dir string) error {
	under := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	socket, unix := d.Unix()
	host, _, err := net.SplitHostPort(d.Listen)
	switch {
	case unix && socket == "":
		return errors.New("`listen: unix:PATH` needs a path")
	case unix:
		under(&socket)
		d.Listen = schemeUnix + socket
	case err != nil:
		return fmt.Errorf("listen: %w; give host:port, or unix:PATH", err)
	case d.Mode != 0:
		return errors.New("`mode` is of a socket's file: this door has none")
	}
	if d.Mode == 0 {
		d.Mode = 0o600
	}
	if d.TLS != nil {
		if unix || d.TLS.Cert == "" || d.TLS.Key == "" {
			return errors.New("`tls` needs cert and key, and is of a port")
		}
		under(&d.TLS.Cert)
		under(&d.TLS.Key)
		under(&d.TLS.ClientCA)
	}
	if len(d.Serve) == 0 {
		return errors.New("`serve` names no protocol")
	}
	for name, mapping := range d.Serve {
		under(&mapping)
		d.Serve[name] = mapping
	}
	if len(d.Callers) == 0 || len(d.Callers) > MaxCallers {
		return fmt.Errorf("it knows %d callers: name 1 to %d under `callers`", len(d.Callers), MaxCallers)
	}
	ip := net.ParseIP(host)
	local := unix || host == "localhost" || ip != nil && ip.IsLoopback()
	for i := range d.Callers {
		c := &d.Callers[i]
		under(&c.BearerFile)
		if err := c.complete(d, unix, local); err != nil {
			return fmt.Errorf("caller %d: %w", i+1, err)
		}
		if c.Anybody && i < len(d.Callers)-1 {
			return fmt.Errorf("caller %d: after `anybody` no other caller is looked at: put it last", i+1)
		}
	}
	return nil
}

func (c *Caller) complete(d *Door, unix, local bool) error {
	ways := 0
	for _, is := range []bool{c.BearerFile != "", c.Certificate != "", c.UID != nil, c.Anybody, c.Signed} {
		if is {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("give exactly one of bearer_file, certificate, uid, anybody and signed")
	case c.Signed && c.AsksAs != "":
		return errors.New("who signs asks as itself: leave `asks_as` out")
	case c.Signed:
		return nil
	case c.UID != nil && !unix:
		return errors.New("`uid` is of a process at a Unix socket: this door is a port")
	case c.Certificate != "" && (d.TLS == nil || d.TLS.ClientCA == ""):
		return errors.New("`certificate` needs `tls` with client_ca")
	case c.Anybody && !local:
		return errors.New("`anybody` is for doors on loopback and for sockets")
	case c.BearerFile != "" && !local && d.TLS == nil:
		return errors.New("a bearer token over plain HTTP is anybody's who listens: give the door `tls`, or have it listen on loopback")
	}
	p, err := authz.ParsePrincipal(c.AsksAs)
	if err != nil {
		return fmt.Errorf("asks_as: %w", err)
	}
	if p.Type != authz.User && p.Type != authz.Role {
		return errors.New("asks_as: name a user or a role: no door asks as a root or a session")
	}
	if c.BearerFile == "" {
		return nil
	}
	text, err := os.ReadFile(c.BearerFile)
	if err != nil {
		return fmt.Errorf("bearer_file: %w", err)
	}
	text = bytes.TrimSpace(text)
	if len(text) < minBearer {
		return fmt.Errorf("bearer_file: the token in %s is shorter than %d bytes", c.BearerFile, minBearer)
	}
	c.bearer = sha256.Sum256(text)
	return nil
}
