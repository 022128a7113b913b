package api_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/thumbprint"
)

// A retry of a call that took effect asks no host, and one that the view refuses is not
// proposed.
func TestRetriesAskNobody(t *testing.T) {
	w := newWorld(t)
	later := w.addNode(true, func(c *config) { c.Thumbprints = thumbprint.New(thumbprint.Public) })
	w.log.readers = append(w.log.readers, later.projection)
	in := []string{"Url", "https://127.0.0.1/x", "@Amz-Sdk-Invocation-Id", "one"}
	w.accepted("without thumbprints", w.iam(w.root, "CreateOpenIDConnectProvider", in...))
	later.world.accepted("again", later.iam(w.root, "CreateOpenIDConnectProvider", in...))
	w.log.before = func(c event.Command) { t.Errorf("%T is proposed", c.Content) }
	w.refused("another", later.iam(w.root, "CreateOpenIDConnectProvider", "Url", "https://127.0.0.1/x"), http.StatusConflict, "EntityAlreadyExists", "")
	w.refused("of another host", later.iam(w.root, "CreateOpenIDConnectProvider", "Url", "https://127.0.0.2/x"), http.StatusBadRequest, "OpenIdIdpCommunicationError", "")
}

// Metadata goes in and comes out by way of the node's workshop.
func TestMetadataIsRead(t *testing.T) {
	document, err := os.ReadFile("../saml/testdata/idp.xml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.accepted("create", w.iam(w.root, "CreateSAMLProvider", "Name", "corp", "SAMLMetadataDocument", string(document)))
	w.accepted("get", w.iam(w.root, "GetSAMLProvider", "SAMLProviderArn", "arn:aws:iam::123456789012:saml-provider/corp"))
}
