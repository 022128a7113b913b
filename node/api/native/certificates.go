package native

import (
	"regexp"
	"strings"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/fault"
	"github.com/writ-iam/writ/projection"
)

// certificateSerial is how serial numbers of certificates are spelled.
var certificateSerial = regexp.MustCompile(`^[0-9a-f]{1,40}$`)

// revokeCertificates answers POST /v1/certificates/revoke: it ends certificates by which nodes
// know each other.
type revokeCertificates struct{ *API }

func (s revokeCertificates) serve(c *call) error {
	batch, _, err := c.Write(service, actionRevokeCertificates, &certificatesToRevoke{clusterChange{c, s.ofCluster(actionRevokeCertificates), nil}, s.API})
	if err != nil || batch == nil {
		return err
	}
	done := shape.CertificateRevocation{Position: batch.Position, Token: dispatch.TokenOf(batch)}
	for _, e := range batch.Events {
		if revoked, ok := e.(*identity.NodeCertificatesRevoked); ok {
			done.Name, done.Serial = revoked.Name, revoked.Serial
		}
	}
	return c.written(batch, done)
}

// certificatesToRevoke is a revocation that is proposed.
type certificatesToRevoke struct {
	clusterChange
	api *API
}

// Authorize finds out whether the caller may end certificates.
func (r *certificatesToRevoke) Authorize(v *projection.View) (cmd event.Command, err error) {
	if err := r.may(v); err != nil {
		return cmd, err
	}
	const hint = `Send {"name":"..."} or {"serial":"..."}.`
	var asked shape.CertificatesToRevoke
	if err := fault.DecodeBody(r.call.Payload, &asked, "revocation of certificates", hint); err != nil {
		return cmd, err
	}
	asked.Serial = strings.TrimLeft(asked.Serial, "0")
	switch {
	case (asked.Name == "") == (asked.Serial == ""):
		return cmd, fault.BadRequest(hint, "Either a name is needed or a serial number.")
	case asked.Name != "" && (len(asked.Name) > maxReplicaName || !replicaName.MatchString(asked.Name)):
		return cmd, fault.BadRequest("`writ cert list` shows the names.", "No node can be called %.80q.", asked.Name)
	case asked.Serial != "" && !certificateSerial.MatchString(asked.Serial):
		return cmd, fault.BadRequest("`writ cert list` shows the serial numbers.", "%.80q is no serial number of hexadecimal digits.", asked.Serial)
	}
	until := identity.Time(r.api.cfg.Now().UnixMilli()) + identity.MaxNodeCertificateLife
	r.change = &identity.RevokeNodeCertificates{Name: asked.Name, Serial: asked.Serial, Until: until}
	return r.command(v), nil
}
