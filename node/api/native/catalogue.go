package native

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/managed"
	"github.com/writ-iam/writ/projection"
)

// getCatalogue answers GET /v1/catalog: which policies of AWS are in force, and how much
// has come of those to be.
type getCatalogue struct{ *API }

func (s getCatalogue) serve(c *call) error {
	if err := c.Authenticate(freshness.ForRead); err != nil {
		return err
	}
	if err := c.May(s.ofCluster(actionGetCatalog)); err != nil {
		return err
	}
	state := c.Seen.View.State
	found := state.Catalogue()
	said := shape.Catalogue{
		Number: uint64(found.Number), Digest: found.Digest, Policies: uint64(found.Policies), Position: found.At,
		Kept:         uint64(state.Count(identity.AWSAccount, identity.KindPolicy) - int(found.Policies)),
		StagedDigest: found.Staged.Digest, StagedParts: uint64(found.Staged.Parts), Partition: state.Partition().String(),
	}
	if found.Number > 0 {
		said.Installed = time.UnixMilli(int64(found.Installed)).UTC().Format(time.RFC3339)
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("encode the catalogue in force: %w", err)
	}
	return c.answer(body)
}

// catalogueDigest is how digests of catalogues are spelled.
var catalogueDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// namedCatalogue is the digest in a request's path, and the number that follows.
func namedCatalogue(c *call, number string) (digest string, n uint32, err error) {
	digest = c.PathValue("digest")
	if !catalogueDigest.MatchString(digest) {
		return "", 0, fault.BadRequest("Give the SHA-256 of the whole catalogue, in hexadecimal.", "%.80q is no digest of a catalogue.", digest)
	}
	parsed, err := strconv.ParseUint(number, 10, 31)
	if err != nil {
		return "", 0, fault.BadRequest("Count parts from 0.", "%.80q is no number of parts.", number)
	}
	return digest, uint32(parsed), nil
}

// stageCatalogue answers POST /v1/catalog/{digest}/parts/{part}: it takes a part of a
// catalogue, which nobody sees yet.
type stageCatalogue struct{ *API }

func (s stageCatalogue) serve(c *call) error {
	digest, part, err := namedCatalogue(c, c.PathValue("part"))
	if err != nil {
		return err
	}
	stage := &stagedPart{clusterChange{c, s.ofCluster(actionImportCatalog), nil}, digest, part}
	batch, _, err := c.Write(service, fmt.Sprintf("StageCatalogue %s %d", digest, part), stage)
	if err != nil || batch == nil {
		return err
	}
	return c.written(batch, shape.CatalogueChange{Digest: digest, Position: batch.Position, Token: dispatch.TokenOf(batch), Removed: []string{}, Kept: []string{}})
}

// stagedPart is a part that is proposed. Its body is read for callers who may import alone:
// it is long, and its policies are checked one by one.
type stagedPart struct {
	clusterChange
	digest string
	part   uint32
}

// Authorize is that of a clusterChange, which it completes.
func (r *stagedPart) Authorize(v *projection.View) (event.Command, error) {
	if err := r.may(v); err != nil {
		return event.Command{}, err
	}
	if r.change == nil {
		policies, err := parsePart(r.call.Payload)
		if err != nil {
			return event.Command{}, err
		}
		r.change = &identity.StageCatalogue{Catalogue: r.digest, Part: r.part, Policies: policies}
	}
	return r.command(v), nil
}

// parsePart reads a part of a catalogue and checks what it alone can show.
func parsePart(body []byte) ([]identity.CataloguePolicy, error) {
	const hint = "Send {\"policies\":[...]}, as /openapi.json describes."
	var part shape.CataloguePart
	if err := fault.DecodeBody(body, &part, "part of a catalogue", hint); err != nil {
		return nil, err
	}
	if n := len(part.Policies); n == 0 || n > identity.MaxCataloguePolicies {
		return nil, fault.BadRequest(hint, "There are %d policies, of 1 to %d.", n, identity.MaxCataloguePolicies)
	}
	policies := make([]identity.CataloguePolicy, len(part.Policies))
	for i := range part.Policies {
		policies[i] = part.Policies[i].Policy()
		if err := managed.Check(&policies[i]); err != nil {
			return nil, fault.BadRequest(hint, "%.300v.", err)
		}
	}
	return policies, nil
}

// installCatalogue answers POST /v1/catalog/{digest}/install?parts=N: it puts in force
// what has come.
type installCatalogue struct{ *API }

func (s installCatalogue) serve(c *call) error {
	digest, parts, err := namedCatalogue(c, c.URL.Query().Get("parts"))
	if err != nil {
		return err
	}
	install := &identity.InstallCatalogue{Catalogue: digest, Parts: parts}
	batch, _, err := c.Write(service, fmt.Sprintf("InstallCatalogue %s %d", digest, parts), &clusterChange{c, s.ofCluster(actionImportCatalog), install})
	if err != nil || batch == nil {
		return err
	}
	said := shape.CatalogueChange{Digest: digest, Position: batch.Position, Token: dispatch.TokenOf(batch), Removed: []string{}, Kept: []string{}}
	for _, e := range batch.Events {
		if e, ok := e.(*identity.CatalogueInstalled); ok {
			said.Removed, said.Kept = append(said.Removed, e.Removed...), append(said.Kept, e.Kept...)
		}
	}
	return c.written(batch, said)
}
