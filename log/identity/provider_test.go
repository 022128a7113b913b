package identity

import "pgregory.net/rapid"

// drawnProviders are the commands about providers of identities.
func drawnProviders(t *rapid.T) []func() Command {
	arn := func(kind Kind) string { return PartitionAWS.ARN(kind, drawAccount(t), rootPath, drawName(t)) }
	key := func() *NewSAMLKey { return &NewSAMLKey{ID: drawKeyID(t), Sealed: []byte(drawText(t))} }
	return []func() Command{
		func() Command {
			return &CreateOIDCProvider{Account: drawAccount(t), URL: drawName(t), ClientIDs: []string{drawText(t)}, Tags: drawTags(t)}
		},
		func() Command { return &DeleteOIDCProvider{Account: drawAccount(t), ARN: arn(KindOIDCProvider)} },
		func() Command {
			return &AddClientID{Account: drawAccount(t), ARN: arn(KindOIDCProvider), ClientID: drawText(t)}
		},
		func() Command {
			return &RemoveClientID{Account: drawAccount(t), ARN: arn(KindOIDCProvider), ClientID: drawText(t)}
		},
		func() Command {
			return &SetThumbprints{Account: drawAccount(t), ARN: arn(KindOIDCProvider), Thumbprints: []string{drawText(t)}}
		},
		func() Command {
			return &SetProviderKeys{Account: drawAccount(t), ARN: arn(KindOIDCProvider), Keys: oneOf(t, "keys", "", drawText(t))}
		},
		func() Command {
			return &CreateSAMLProvider{Account: drawAccount(t), Name: drawName(t), UUID: drawText(t), Metadata: []byte(drawText(t)), Key: key(), Tags: drawTags(t)}
		},
		func() Command {
			c := &UpdateSAMLProvider{Account: drawAccount(t), ARN: arn(KindSAMLProvider), Metadata: []byte(drawText(t)),
				Encryption: oneOf(t, "mode", 0, EncryptionAllowed, EncryptionRequired), RemoveKey: oneOf(t, "removed", "", drawKeyID(t))}
			if rapid.Bool().Draw(t, "add") {
				c.AddKey = key()
			}
			return c
		},
		func() Command { return &DeleteSAMLProvider{Account: drawAccount(t), ARN: arn(KindSAMLProvider)} },
		func() Command {
			kind := oneOf(t, "kind", KindOIDCProvider, KindSAMLProvider)
			return &TagEntity{Kind: kind, Account: drawAccount(t), Name: arn(kind), Tags: drawTags(t), AnyCase: true}
		},
	}
}

// drawnSessions are the commands about sessions.
func drawnSessions(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command { return &AddSessionKey{Number: uint32(drawNumber(t)), Sealed: []byte(drawText(t))} },
		func() Command { return &RevokeSessionKey{Number: uint32(drawNumber(t))} },
		func() Command {
			return &AddIssuerKey{Number: uint32(drawNumber(t)), Sealed: []byte(drawText(t)), Public: []byte(drawText(t))}
		},
		func() Command {
			return &RevokeNodeCertificates{Name: oneOf(t, "node", "", "a", "b"), Serial: oneOf(t, "serial", "", "1", "2"), Until: now + Time(drawNumber(t)) - 2}
		},
		func() Command { return &RevokeIssuerKey{Number: uint32(drawNumber(t))} },
		func() Command {
			return &BeginIncarnation{Cluster: "cluster", Incarnation: drawText(t), Why: oneOf(t, "why", Restored, Recovered)}
		},
		func() Command {
			return &RevokeSessions{Account: drawAccount(t), Subject: drawText(t), Before: oneOf(t, "before", 0, Time(drawNumber(t)))}
		},
	}
}

// drawnSettings are the commands about the settings of accounts.
func drawnSettings(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command {
			return &SetRoleManager{Account: drawAccount(t), Enabled: rapid.Bool().Draw(t, "enabled")}
		},
		func() Command { return &SetTokenVersion{Account: drawAccount(t), Version: uint8(drawNumber(t))} },
		func() Command { return &EnableWebIdentity{Account: drawAccount(t), Issuer: drawText(t)} },
		func() Command { return &DisableWebIdentity{Account: drawAccount(t)} },
		func() Command {
			on := rapid.Bool().Draw(t, "on")
			return &SetOrganizationFeatures{Account: drawAccount(t), RootSessions: &on}
		},
	}
}
