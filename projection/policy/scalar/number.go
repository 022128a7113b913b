package scalar

import (
	"net/netip"
	"strings"
)

// Decimal is a number of a policy or a context: exact, however many digits it
// has, and made without an allocation. The zero value is 0.
type Decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

// ParseDecimal reads an optional sign, digits, and digits after a point. It
// takes no exponent: AWS speaks of integers and decimals.
func ParseDecimal(text string) (Decimal, bool) {
	var d Decimal
	if text != "" && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" && fraction == "" || point && fraction == "" || !Digits(whole) || !Digits(fraction) {
		return Decimal{}, false
	}
	d.whole = strings.TrimLeft(whole, "0")
	d.fraction = strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

// Digits tells that a text has nothing but digits of ASCII.
func Digits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// Compare returns -1, 0 or 1 as d is less than, equal to or greater than e.
func (d Decimal) Compare(e Decimal) int {
	switch {
	case d.negative && !e.negative:
		return -1
	case e.negative && !d.negative:
		return 1
	case d.negative:
		return e.magnitude(d)
	}
	return d.magnitude(e)
}

// magnitude compares without the signs.
func (d Decimal) magnitude(e Decimal) int {
	switch {
	case len(d.whole) < len(e.whole):
		return -1
	case len(d.whole) > len(e.whole):
		return 1
	case d.whole != e.whole:
		return strings.Compare(d.whole, e.whole)
	}
	return strings.Compare(d.fraction, e.fraction)
}

// Instant is a point in time, in the order of its fields.
type Instant struct {
	Seconds int64 // since 1970-01-01T00:00:00Z
	Nanos   int64
}

// Compare returns -1, 0 or 1 as a is before, at or after b.
func (a Instant) Compare(b Instant) int {
	switch {
	case a.Seconds < b.Seconds || a.Seconds == b.Seconds && a.Nanos < b.Nanos:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// The years that AWS takes in a date: those of a Java long of milliseconds.
const (
	minYear = -292275054
	maxYear = 292278993
)

// ParseInstant reads what AWS takes as a date: seconds of the epoch, or ISO
// 8601 in the profile of the W3C with any prefix of year, month, day, hours,
// minutes, seconds and fraction, the letters T and Z in either case, and a
// zone of hours or hours and minutes. Without a zone it is UTC.
func ParseInstant(text string) (Instant, bool) {
	if at, ok := parseUTC(text); ok {
		return at, true
	}
	if !strings.ContainsAny(text, "-tT") {
		n, ok := number(text, 19)
		return Instant{Seconds: n}, ok
	}
	day, clock, hasClock := text, "", false
	if i := strings.IndexAny(text, "tT"); i >= 0 {
		day, clock, hasClock = text[:i], text[i+1:], true
	}
	year, month, date, ok := parseDay(day)
	if !ok {
		return Instant{}, false
	}
	var at Instant
	if hasClock && clock != "" {
		if at, ok = parseClock(clock); !ok {
			return Instant{}, false
		}
	}
	at.Seconds += days(year, month, date) * 86400
	return at, true
}

// parseUTC reads the form in which clients and the service itself write a
// time, 2006-01-02T15:04:05Z, and nothing else: what parseInstant does, faster.
func parseUTC(text string) (Instant, bool) {
	const form = "0000-00-00T00:00:00Z"
	if len(text) != len(form) {
		return Instant{}, false
	}
	for i := range len(form) {
		if c := text[i]; form[i] == '0' && (c < '0' || c > '9') || form[i] != '0' && c != form[i] {
			return Instant{}, false
		}
	}
	two := func(i int) int { return int(text[i]-'0')*10 + int(text[i+1]-'0') }
	month, day, hour, minute, second := two(5), two(8), two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return Instant{}, false
	}
	n := days(two(0)*100+two(2), month, day)
	return Instant{Seconds: n*86400 + int64(hour*3600+minute*60+second)}, true
}

// days counts the days from 1970-01-01 to a day of the Gregorian calendar. A
// day after the end of its month runs into the next one.
func days(year, month, day int) int64 {
	if month <= 2 { // count years from March, so that the leap day comes last
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era)*146097 + int64(dayOfEra) - 719468
}

// number reads an unsigned decimal integer of at most max digits that fits an
// int64.
func number(text string, max int) (int64, bool) {
	if text == "" || len(text) > max || !Digits(text) {
		return 0, false
	}
	var n int64
	for i := range len(text) {
		n = n*10 + int64(text[i]-'0')
		if n < 0 {
			return 0, false
		}
	}
	return n, true
}

// field reads a number of at most two digits from low to high.
func field(text string, low, high int) (int, bool) {
	n, ok := number(text, 2)
	return int(n), ok && int(n) >= low && int(n) <= high
}

func parseDay(text string) (year, month, day int, ok bool) {
	sign := 1
	if strings.HasPrefix(text, "-") {
		sign, text = -1, text[1:]
	}
	y, rest, hasMonth := strings.Cut(text, "-")
	n, ok := number(y, 9)
	year, month, day = sign*int(n), 1, 1
	if !ok || year < minYear || year > maxYear {
		return 0, 0, 0, false
	}
	if !hasMonth {
		return year, month, day, true
	}
	m, d, hasDay := strings.Cut(rest, "-")
	if month, ok = field(m, 1, 12); !ok {
		return 0, 0, 0, false
	}
	if hasDay {
		day, ok = field(d, 1, 31)
	}
	return year, month, day, ok
}

// parseClock reads the part after the T as an offset from midnight UTC.
func parseClock(text string) (Instant, bool) {
	clock, zone, ok := cutZone(text)
	if !ok {
		return Instant{}, false
	}
	h, rest, hasMinutes := strings.Cut(clock, ":")
	m, s, hasSeconds := strings.Cut(rest, ":")
	hours, ok := field(h, 0, 23)
	if !ok {
		return Instant{}, false
	}
	minutes, seconds, nanos := 0, 0, int64(0)
	if hasMinutes {
		if minutes, ok = field(m, 0, 59); !ok {
			return Instant{}, false
		}
	}
	if hasSeconds {
		whole, fraction, point := strings.Cut(s, ".")
		if seconds, ok = field(whole, 0, 59); !ok {
			return Instant{}, false
		}
		if point {
			if nanos, ok = number(fraction, 9); !ok {
				return Instant{}, false
			}
			for range 9 - len(fraction) {
				nanos *= 10
			}
		}
	}
	return Instant{Seconds: int64(hours*3600+minutes*60+seconds) - zone, Nanos: nanos}, true
}

// cutZone takes the zone from the end of a time of day and returns it in
// seconds east of UTC.
func cutZone(text string) (clock string, zone int64, ok bool) {
	i := strings.IndexAny(text, "zZ+-")
	if i < 0 {
		return text, 0, true
	}
	clock, sign, rest := text[:i], text[i], text[i+1:]
	if sign == 'z' || sign == 'Z' {
		return clock, 0, rest == ""
	}
	if len(rest) < 2 {
		return "", 0, false
	}
	hours, ok := field(rest[:2], 0, 23)
	if !ok {
		return "", 0, false
	}
	minutes := 0
	if rest = strings.TrimPrefix(rest[2:], ":"); rest != "" {
		if minutes, ok = field(rest, 0, 59); !ok || len(rest) != 2 {
			return "", 0, false
		}
	}
	zone = int64(hours*3600 + minutes*60)
	if sign == '-' {
		zone = -zone
	}
	return clock, zone, true
}

// ParseBool reads true or false, in any letter case.
func ParseBool(text string) (value, ok bool) {
	switch {
	case strings.EqualFold(text, "true"):
		return true, true
	case strings.EqualFold(text, "false"):
		return false, true
	}
	return false, false
}

// ParseNetwork reads an address or a range in CIDR notation. Bits behind the
// prefix do not matter, and an IPv4 address may be written as one of IPv6.
func ParseNetwork(text string) (netip.Prefix, bool) {
	if strings.IndexByte(text, '/') < 0 {
		addr, ok := ParseAddress(text)
		return netip.PrefixFrom(addr, addr.BitLen()), ok
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if addr := network.Addr(); addr.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	return network.Masked(), true
}

// ParseAddress reads an address without a zone. One of IPv4 may be written as one of
// IPv6.
func ParseAddress(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}
