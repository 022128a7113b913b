package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The names under which a presigned request carries its signature.
const (
	queryAlgorithm     = "X-Amz-Algorithm"
	queryCredential    = "X-Amz-Credential"
	queryDate          = "X-Amz-Date"
	queryExpires       = "X-Amz-Expires"
	querySignedHeaders = "X-Amz-SignedHeaders"
	querySignature     = "X-Amz-Signature"
	querySecurityToken = "X-Amz-Security-Token"
)

// Header names in the form in which net/http stores them.
const (
	headerAuthorization = "Authorization"
	headerAmzDate       = "X-Amz-Date"
	headerDate          = "Date"
	headerSecurityToken = "X-Amz-Security-Token"
)

// Parse finds the signature of r and checks its form, its scope and its time
// against now. It does not read the body. Errors are of type [*Error]:
// MissingAuthenticationToken when r carries no signature, IncompleteSignature
// when it cannot be read, SignatureDoesNotMatch when the scope is not of the
// request's date or the request is too old or too new. r must not change until
// the Signature is no longer used.
func Parse(r *http.Request, now time.Time) (*Signature, error) {
	if strings.Count(r.URL.RawQuery, "&") >= MaxQueryPairs {
		return nil, incomplete("Too many query-string parameters.")
	}
	presigned := carriesSignature(r.URL.RawQuery)
	if values := r.Header[headerAuthorization]; len(values) > 0 {
		if presigned {
			// Signed are the other parameters of a presigned request as well, so that its
			// signature would be good in the header, too, and without its own expiry.
			return nil, incomplete("A signature is carried by the Authorization header or by query-string parameters, not by both.")
		}
		return parseHeader(r, values, now)
	}
	if presigned {
		return parseQuery(r, now, 0)
	}
	return nil, ErrMissingAuthenticationToken
}

// ParseFor is Parse for a presigned request that is good for a life after its time, whatever
// X-Amz-Expires says, as STS at AWS has it: a token that is one may say 0 there.
func ParseFor(r *http.Request, now time.Time, life time.Duration) (*Signature, error) {
	switch {
	case strings.Count(r.URL.RawQuery, "&") >= MaxQueryPairs:
		return nil, incomplete("Too many query-string parameters.")
	case len(r.Header[headerAuthorization]) > 0 || !carriesSignature(r.URL.RawQuery):
		return nil, ErrMissingAuthenticationToken
	}
	return parseQuery(r, now, life)
}

// carriesSignature tells whether a query has a parameter of a presigned request.
func carriesSignature(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		switch parameterName(pair) {
		case queryAlgorithm, queryCredential, queryExpires, querySignedHeaders, querySignature:
			return true
		}
	}
	return false
}

// parameterName is the name in a pair of a query as it is signed: decoded. Whoever
// repeats a request may encode it otherwise.
func parameterName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	if !strings.ContainsAny(name, "%+") {
		return name
	}
	return decodeParameter(name)
}

// parts are the pieces of a signature as they were sent; "" is missing.
type parts struct {
	credential, signedHeaders, signature string
}

func parseHeader(r *http.Request, values []string, now time.Time) (*Signature, error) {
	value := values[0]
	if len(values) > 1 {
		return nil, incomplete("Authorization header must be given once.")
	}
	scheme, rest, _ := strings.Cut(value, " ")
	if scheme != algorithm && strings.HasPrefix(scheme, "AWS4-") {
		return nil, incomplete("Unsupported AWS 'algorithm': '" + shortened(scheme) + "'.")
	}
	var p parts
	if scheme == algorithm {
		var err error
		if p, err = splitAuthorization(rest, value); err != nil {
			return nil, err
		}
	}
	date := first(r.Header, headerAmzDate)
	if date == "" {
		date = first(r.Header, headerDate)
	}
	problems := p.missing("Authorization header requires '", "' parameter. ",
		"Credential", "Signature", "SignedHeaders")
	if problems != "" || date == "" {
		if date == "" {
			problems += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
		}
		return nil, incomplete(problems + "(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(value))
	}
	s := &Signature{request: r, SessionToken: first(r.Header, headerSecurityToken)}
	return s.fill(p, date, MaxClockSkew, now)
}

// first is Header.Get for a name in canonical form.
func first(header http.Header, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// splitAuthorization reads the Key=Value pairs after the algorithm. Commas and
// blanks both end a pair, as at AWS.
func splitAuthorization(rest, whole string) (p parts, err error) {
	for rest != "" {
		end := 0
		for end < len(rest) && rest[end] != ',' && rest[end] != ' ' {
			end++
		}
		pair := rest[:end]
		rest = rest[min(end+1, len(rest)):]
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return parts{}, incomplete("Invalid key=value pair (missing equal-sign) in Authorization header " +
				"(hashed with SHA-256 and encoded with Base64): '" + hashed(whole) + "'.")
		}
		var field *string
		switch key {
		case "Credential":
			field = &p.credential
		case "SignedHeaders":
			field = &p.signedHeaders
		case "Signature":
			field = &p.signature
		default:
			continue
		}
		if *field != "" {
			return parts{}, incomplete("Authorization header gives '" + key + "' more than once.")
		}
		*field = value
	}
	return p, nil
}

func (p *parts) missing(before, after, credential, signature, signedHeaders string) string {
	var b strings.Builder
	for _, part := range [...]struct{ value, name string }{
		{p.credential, credential}, {p.signature, signature}, {p.signedHeaders, signedHeaders},
	} {
		if part.value == "" {
			b.WriteString(before + part.name + after)
		}
	}
	return b.String()
}

// parseQuery reads a presigned request; a life of 0 is the signer's to say.
func parseQuery(r *http.Request, now time.Time, life time.Duration) (*Signature, error) {
	var p parts
	var alg, date, expires, token string
	for query := r.URL.RawQuery; query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		_, value, _ := strings.Cut(pair, "=")
		name := parameterName(pair)
		var field *string
		switch name {
		case queryAlgorithm:
			field = &alg
		case queryCredential:
			field = &p.credential
		case queryDate:
			field = &date
		case queryExpires:
			field = &expires
		case querySignedHeaders:
			field = &p.signedHeaders
		case querySignature:
			field = &p.signature
		case querySecurityToken:
			field = &token
		default:
			continue
		}
		if *field != "" {
			return nil, incomplete("AWS query-string parameters must include '" + name + "' only once. Re-examine the query-string parameters.")
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil {
			return nil, incomplete("AWS query-string parameter '" + name + "' is not properly encoded. Re-examine the query-string parameters.")
		}
		*field = decoded
	}
	problems := p.missing("AWS query-string parameters must include '", "'. ", queryCredential, querySignature, querySignedHeaders)
	if alg == "" {
		problems = "AWS query-string parameters must include '" + queryAlgorithm + "'. " + problems
	}
	if date == "" {
		problems += "AWS query-string parameters must include '" + queryDate + "'. "
	}
	if problems != "" {
		return nil, incomplete(problems + "Re-examine the query-string parameters.")
	}
	if alg != algorithm {
		return nil, incomplete("Unsupported AWS 'algorithm': '" + shortened(alg) + "'.")
	}
	if life == 0 {
		var err error
		if life, err = parseExpires(expires); err != nil {
			return nil, err
		}
	}
	if token == "" {
		token = first(r.Header, headerSecurityToken)
	}
	s := &Signature{request: r, SessionToken: token, Presigned: true}
	return s.fill(p, date, life, now)
}

// parseExpires reads X-Amz-Expires. Some signers leave it out (the Go SDK's for
// STS): then the request lives as long as one signed in its headers.
func parseExpires(text string) (time.Duration, error) {
	if text == "" {
		return MaxClockSkew, nil
	}
	seconds, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, incomplete(queryExpires + " should be a number")
	case seconds < 1:
		return 0, incomplete(queryExpires + " must be positive")
	case time.Duration(seconds) > MaxExpires/time.Second:
		return 0, incomplete(queryExpires + " must be less than a week (in seconds); that is, the given " +
			queryExpires + " must be less than 604800 seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}

// fill reads what the pieces say into s, checks it and returns s.
func (s *Signature) fill(p parts, date string, life time.Duration, now time.Time) (*Signature, error) {
	key, rest, _ := strings.Cut(p.credential, "/")
	scopeDate, rest, _ := strings.Cut(rest, "/")
	region, rest, _ := strings.Cut(rest, "/")
	service, term, ok := strings.Cut(rest, "/")
	if !ok || strings.Contains(term, "/") {
		return nil, incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
			shortened(p.credential) + "'")
	}
	if strings.Count(p.signedHeaders, ";") >= MaxSignedHeaders {
		return nil, incomplete("Too many 'SignedHeaders'.")
	}
	if repeats(p.signedHeaders) {
		return nil, incomplete("'SignedHeaders' must name each header once.")
	}
	if err := s.setTime(date); err != nil {
		return nil, err
	}
	s.AccessKeyID = key
	s.Scope = Scope{Date: scopeDate, Region: region, Service: service}
	s.SignedHeaders = p.signedHeaders
	s.signature = p.signature
	if err := s.checkCredential(term); err != nil {
		return nil, err
	}
	if !s.Signs("host") && !s.Signs(":authority") {
		return nil, mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if err := s.CheckLife(now, life); err != nil {
		return nil, err
	}
	s.Until = s.Time.Add(life)
	return s, nil
}

// repeats tells whether a list like SignedHeaders, of MaxSignedHeaders at most, has a
// name twice. The value of such a header would be hashed as often, and a signature is
// found to be wrong only after that.
func repeats(list string) bool {
	var space [MaxSignedHeaders]string
	names := space[:0]
	sorted := true
	for list != "" {
		var name string
		name, list, _ = strings.Cut(list, ";")
		sorted = sorted && (len(names) == 0 || names[len(names)-1] < name)
		names = append(names, name)
	}
	if sorted { // as signers do it
		return false
	}
	slices.Sort(names)
	return len(slices.Compact(names)) < len(names)
}

// checkCredential checks every part of the credential, so that what is remembered of
// it, or passed on, is bounded. term is the last one.
func (s *Signature) checkCredential(term string) error {
	scope := &s.Scope
	if term != terminator {
		return mismatch("Credential should be scoped with a valid terminator: '" + terminator + "', not '" + shortened(term) + "'.")
	}
	if day := s.timestamp[:dateLen]; day != scope.Date {
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			shortened(scope.Date) + "' != '" + day + "', from '" + s.timestamp + "'.")
	}
	if !Plain(scope.Region, MaxRegion) {
		return mismatch("Credential should be scoped to a valid region, not '" + shortened(scope.Region) + "'.")
	}
	if scope.Service == "" || !Plain(scope.Service, MaxService) {
		return mismatch("Credential should be scoped to a valid service, not '" + shortened(scope.Service) + "'.")
	}
	if s.AccessKeyID == "" || !Plain(s.AccessKeyID, MaxAccessKeyID) {
		return ErrInvalidClientTokenID // there can be none
	}
	return nil
}

// Plain tells whether text is made of no more than limit of the characters of
// regions, services and access key ids.
func Plain(text string, limit int) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return len(text) <= limit
}

// maxQuoted is how much of what was sent a message repeats.
const maxQuoted = 256

// shortened is text for a message.
func shortened(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "..."
}

// setTime reads the time of the request: ISO 8601 basic, or what HTTP allows in
// its Date header.
func (s *Signature) setTime(date string) error {
	t, err := time.Parse(timeLayout, date)
	if err == nil && len(date) == len(timeLayout) { // Parse takes fractions too
		s.Time, s.timestamp = t, date
		return nil
	}
	if t, err = http.ParseTime(date); err == nil {
		s.Time = t.UTC()
		s.timestamp = s.Time.Format(timeLayout)
		return nil
	}
	return incomplete("Date must be in ISO-8601 'basic format'. Got '" + shortened(date) + "'. See http://en.wikipedia.org/wiki/ISO_8601")
}

// inWords writes a duration as AWS does in its messages.
func inWords(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min."
	}
	return strconv.Itoa(int(d/time.Second)) + " sec."
}
