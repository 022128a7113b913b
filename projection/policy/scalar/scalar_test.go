package scalar

import (
	"testing"
	"time"
)

func TestParseInstant(t *testing.T) {
	for text, want := range map[string]Instant{
		"0":                              {},
		"1714557600":                     {1714557600, 0},
		"9223372036854775807":            {9223372036854775807, 0},
		"1970":                           {0, 0}, // seconds
		"1970-01":                        {},
		"1970-01-02":                     {86400, 0},
		"1970-01-01T":                    {},
		"1970-01-01t01":                  {3600, 0},
		"1970-01-01T01:02":               {3720, 0},
		"1970-01-01T01:02Z":              {3720, 0},
		"1970-01-01T01:02:03z":           {3723, 0},
		"1970-01-01T00:00:00.000000001Z": {0, 1},
		"1970-01-01T00:00:00.25-01:30":   {5400, 250_000_000},
		"1970-01-01T05:00+05":            {},
		"1970-01-01T05:00:00+0530":       {-1800, 0},
		"-1-01-01":                       {-62198755200, 0},
		"1969-12-31T23:59:59Z":           {-1, 0},
	} {
		got, ok := ParseInstant(text)
		if text == "1970" {
			want = Instant{1970, 0}
		}
		if !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "x", "-", "T", "1.5", "9223372036854775808", "12345678901234567890", "1970-", "1970-00", "1970-13", "1970-01-00",
		"1970-01-32", "1970-01-01-01", "1970-01-01T24", "1970-01-01T00:60", "1970-01-01T00:00:60", "1970-01-01Tx",
		"1970-01-01T00:00:00.", "1970-01-01T00:00:00.1234567890", "1970-01-01T00:00:00Zx", "1970-01-01T00:00:00+1",
		"1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+01:60", "1970-01-01T00:00:00+01:5", "1970-01-01T00:00:00+01:500",
		"-292275055-01-01", "292278994-01", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:0xZ", "1970-01-01T00:00:00+ab",
	} {
		if got, ok := ParseInstant(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

// days agrees with package time over some centuries, at every end of a month.
func TestDays(t *testing.T) {
	for year := -801; year <= 2801; year++ {
		for month := 1; month <= 12; month++ {
			for _, day := range []int{1, 28, 29, 31} {
				want := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / 86400
				if got := days(year, month, day); got != want {
					t.Fatalf("%d-%d-%d: got %d, want %d", year, month, day, got, want)
				}
			}
		}
	}
}

func TestParseDecimal(t *testing.T) {
	for _, text := range []string{"", "+", "-", ".", "1.", "1e2", "0x1", " 1", "1 ", "1.2.3", "--1", "١"} {
		if got, ok := ParseDecimal(text); ok {
			t.Errorf("%q: got %v", text, got)
		}
	}
	ascending := []string{"-10", "-9.5", "-1", "-0.1", "0", "0.09", ".1", "+1", "1.000001", "9.5", "10", "100"}
	for i, a := range ascending {
		for j, b := range ascending {
			x, ok1 := ParseDecimal(a)
			y, ok2 := ParseDecimal(b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := x.Compare(y); !ok1 || !ok2 || got != want {
				t.Errorf("%s and %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}
