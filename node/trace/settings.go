package trace

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// ErrSettings is returned, wrapped, where variables ask for what there is not.
var ErrSettings = errors.New("the OTEL_* variables cannot be followed")

// Defaults and limits of sending.
const (
	defaultEndpoint = "http://localhost:4318"
	tracesPath      = "/v1/traces"
	defaultTimeout  = 10 * time.Second
	maxTimeout      = time.Minute
)

// Settings are what the variables ask for. The zero value asks for no traces.
type Settings struct {
	on       bool
	endpoint string
	headers  map[string]string
	timeout  time.Duration
	tls      *tls.Config // nil for the system's certificates
	gzip     bool
	sampler  trace.Sampler
	resource *resource.Resource
}

// On tells whether traces are asked for.
func (s *Settings) On() bool { return s.on }

// FromEnvironment reads the variables, by the names and forms that OpenTelemetry gives them.
// Traces are asked for where an endpoint is named, or OTEL_TRACES_EXPORTER is otlp, unless the
// latter is none or OTEL_SDK_DISABLED is true. What Writ does not know is an error: a node
// that sends its traces elsewhere than was meant would not be noticed. Errors are ErrSettings.
func FromEnvironment() (s Settings, err error) {
	endpoint, general := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "" && general == "":
		return s, nil
	case exporter != "" && exporter != "otlp":
		return s, fmt.Errorf("%w: OTEL_TRACES_EXPORTER is %q: say otlp or none", ErrSettings, exporter)
	}
	if endpoint == "" {
		endpoint = strings.TrimSuffix(cmp.Or(general, defaultEndpoint), "/") + tracesPath
	}
	s = Settings{on: true, endpoint: endpoint}
	if err := errors.Join(s.readEndpoint(), s.readWay(), s.readHeaders(), s.readTLS(), s.readSampler(), s.readResource()); err != nil {
		return Settings{}, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return s, nil
}

// variable reads a variable of the exporter: for traces, or else for all signals.
func variable(name string) (value, from string) {
	from = "OTEL_EXPORTER_OTLP_TRACES_" + name
	if value = os.Getenv(from); value == "" {
		from = "OTEL_EXPORTER_OTLP_" + name
		value = os.Getenv(from)
	}
	return value, from
}

func (s *Settings) readEndpoint() error {
	u, err := url.Parse(s.endpoint)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return errors.New("the endpoint is no http:// or https:// URL: name the collector's port for OTLP over HTTP, such as http://collector:4318")
	case u.User != nil: // it would be shown where the endpoint is
		return errors.New("the endpoint names a user: put credentials into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// readWay reads how spans are sent.
func (s *Settings) readWay() error {
	if protocol, from := variable("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return fmt.Errorf("%s is %q: say http/protobuf, and name the collector's port for it, which is 4318 as a rule", from, protocol)
	}
	switch compression, from := variable("COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		s.gzip = true
	default:
		return fmt.Errorf("%s is %q: say gzip or none", from, compression)
	}
	s.timeout = defaultTimeout
	if text, from := variable("TIMEOUT"); text != "" {
		ms, err := strconv.ParseUint(text, 10, 31)
		s.timeout = time.Duration(ms) * time.Millisecond
		if err != nil || s.timeout == 0 || s.timeout > maxTimeout {
			return fmt.Errorf("%s is %q: say milliseconds, from 1 to %d", from, text, maxTimeout.Milliseconds())
		}
	}
	return nil
}

// readHeaders reads name=value,name=value, percent-encoded. Values are secrets as a rule.
func (s *Settings) readHeaders() error {
	text, from := variable("HEADERS")
	s.headers = make(map[string]string)
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || err != nil || name == "" || strings.ContainsAny(name, " \r\n:") || strings.ContainsAny(value, "\r\n") {
			return fmt.Errorf("%s is malformed: say name=value,name=value, with %%-escapes in values", from)
		}
		s.headers[name] = value
	}
	return nil
}

func (s *Settings) readTLS() error {
	roots, from := variable("CERTIFICATE")
	cert, certFrom := variable("CLIENT_CERTIFICATE")
	key, _ := variable("CLIENT_KEY")
	if roots == "" && cert == "" && key == "" {
		return nil
	}
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pem, err := os.ReadFile(roots)
		if err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
		if s.tls.RootCAs = x509.NewCertPool(); !s.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: no certificate is in %s", from, roots)
		}
	}
	if cert != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("%s and its key: %w", certFrom, err)
		}
		s.tls.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// readSampler reads which traces are sent. The SDK would go on with another sampler than was
// meant where it cannot read one.
func (s *Settings) readSampler() error {
	name, text := cmp.Or(os.Getenv("OTEL_TRACES_SAMPLER"), "parentbased_always_on"), os.Getenv("OTEL_TRACES_SAMPLER_ARG")
	ratio := 1.0
	if strings.HasSuffix(name, "traceidratio") && text != "" {
		var err error
		if ratio, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(ratio) || ratio < 0 || ratio > 1 {
			return fmt.Errorf("OTEL_TRACES_SAMPLER_ARG is %q: say a part from 0 to 1", text)
		}
	}
	base, parented := strings.CutPrefix(name, "parentbased_")
	switch base {
	case "always_on":
		s.sampler = trace.AlwaysSample()
	case "always_off":
		s.sampler = trace.NeverSample()
	case "traceidratio":
		s.sampler = trace.TraceIDRatioBased(ratio)
	default:
		return fmt.Errorf("OTEL_TRACES_SAMPLER is %q: say always_on, always_off or traceidratio, or one of them after parentbased_", name)
	}
	if parented {
		s.sampler = trace.ParentBased(s.sampler)
	}
	return nil
}

// readResource reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
func (s *Settings) readResource() (err error) {
	s.resource, err = resource.New(context.Background(), resource.WithAttributes(attribute.String("service.name", "writ")), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return nil
}
