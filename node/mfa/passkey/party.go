package passkey

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Limits of a Party.
const (
	// MaxOrigins is how many origins it may have.
	MaxOrigins = 16
	maxID      = 253
)

var (
	// ErrOff is returned where a cluster has no passkeys, since nobody said what it is called.
	ErrOff = errors.New("passkeys are not set up")
	// ErrConfig is returned for settings that browsers would not take.
	ErrConfig = errors.New("passkeys are not set up right")
)

// Settings say what a cluster is to browsers, which bind a passkey to it for good. The zero
// value has no passkeys.
type Settings struct {
	// ID is the domain that passkeys are bound to: one that the host of each origin is, or is
	// below.
	ID string
	// Origins are those of the pages that ask for passkeys: https://HOST or https://HOST:PORT.
	// None: https:// with the ID.
	Origins []string
}

// Check returns an error that wraps ErrConfig where browsers would not take the settings.
func (s *Settings) Check() error {
	_, err := s.checked()
	return err
}

var domain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checked are the origins, as browsers write them.
func (s *Settings) checked() ([]string, error) {
	switch {
	case s.ID == "" && len(s.Origins) == 0:
		return nil, nil
	case s.ID == "":
		return nil, fmt.Errorf("%w: there are origins, but no domain that passkeys are bound to", ErrConfig)
	case len(s.ID) > maxID || !domain.MatchString(s.ID) || net.ParseIP(s.ID) != nil:
		return nil, fmt.Errorf("%w: %.80q is no domain in lower case, such as writ.example.com", ErrConfig, s.ID)
	case len(s.Origins) > MaxOrigins:
		return nil, fmt.Errorf("%w: there are more than %d origins", ErrConfig, MaxOrigins)
	case len(s.Origins) == 0:
		return []string{"https://" + s.ID}, nil
	}
	for _, origin := range s.Origins {
		if err := s.checkOrigin(origin); err != nil {
			return nil, err
		}
	}
	return slices.Clone(s.Origins), nil
}

// checkOrigin takes an origin as a browser says it, which is compared letter by letter.
func (s *Settings) checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || origin != u.Scheme+"://"+u.Host || !domain.MatchString(u.Hostname()) {
		return fmt.Errorf("%w: %.80q is no origin, such as https://console.example.com", ErrConfig, origin)
	}
	if host := u.Hostname(); host != s.ID && !strings.HasSuffix(host, "."+s.ID) {
		return fmt.Errorf("%w: the host of %.80q is not %s, nor below it", ErrConfig, origin, s.ID)
	}
	local := u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return fmt.Errorf("%w: %.80q is not of https, as browsers want it but for localhost", ErrConfig, origin)
	}
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" || strings.HasSuffix(u.Host, ":") {
		return fmt.Errorf("%w: browsers leave the port out of %.80q", ErrConfig, origin)
	}
	return nil
}
