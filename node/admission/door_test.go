package admission

import (
	"net/http/httptest"
	"testing"
)

// What a request holds that came through a door is its caller's, not that of a stranger's address,
// and is given back as the caller's.
func TestDoorOwnsItsBodies(t *testing.T) {
	d := New(Config{})
	q := Request{Request: httptest.NewRequest("POST", "/", nil)}
	q.held = heldBody{begun: true, of: StrangersBodies, holder: "192.0.2.1", bytes: 100}
	if err := d.places[StrangersBodies].Take("192.0.2.1", 100); err != nil {
		t.Fatal(err)
	}
	d.Door(&q, "arn")
	if strangers, own := d.places[StrangersBodies].Taken(), d.places[Bodies].Taken(); strangers != 0 || own != 100 || q.Holder() != "door arn" {
		t.Errorf("strangers hold %d, callers %d, and the request is of %q", strangers, own, q.Holder())
	}
	d.Release(&q)
	if own := d.places[Bodies].Taken(); own != 0 {
		t.Errorf("%d are held still", own)
	}
}
