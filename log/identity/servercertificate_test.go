package identity

import (
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

var siteCert = &ServerCertificateUploaded{Account: acct, ID: "ASCA1", Name: "Site", Path: "/", Body: "pem", Chain: "chain", Sealed: []byte("s"), Expires: now, Uploaded: past}

func TestServerCertificates(t *testing.T) { run(t, serverCertificateSpecs()) }

func serverCertificateSpecs() []spec {
	const gone = "NoSuchEntity: The Server Certificate with name none cannot be found."
	tags := []Tag{{"b", "1"}, {"a", "2"}}
	upload := &UploadServerCertificate{Account: acct, ID: "ASCA2", Name: "shop", Path: "/x/", Body: "pem", Chain: "chain", Sealed: []byte("s"), Expires: now, Tags: tags}
	second := &ServerCertificateUploaded{Account: acct, ID: "ASCA2", Name: "shop", Path: "/x/", Body: "pem", Chain: "chain", Sealed: []byte("s"), Expires: now, Tags: tags, Uploaded: now}
	full := make([]Event, 1000)
	for i := range full {
		full[i] = &ServerCertificateUploaded{Account: acct, ID: ID("ASCAX" + strconv.Itoa(i)), Name: strconv.Itoa(i)}
	}
	return []spec{
		{name: "another", given: []Event{siteCert}, when: upload, then: []Event{second},
			check: func(s *spying) {
				want := &ServerCertificate{ID: "ASCA2", Account: acct, Name: "shop", Path: "/x/", Body: "pem", Chain: "chain", Sealed: []byte("s"), Uploaded: now, Expires: now,
					Tags: []Tag{{"a", "2"}, {"b", "1"}}}
				if got, _ := s.ServerCertificate(acct, "SHOP"); !reflect.DeepEqual(got, want) {
					s.Errorf("the certificate is %+v", got)
				}
			}},
		{name: "the name in use", given: []Event{siteCert}, when: &UploadServerCertificate{Account: acct, ID: "ASCA2", Name: "site"},
			refused: "EntityAlreadyExists: The Server Certificate with name site already exists."},
		{name: "the id in use", given: []Event{siteCert}, when: &UploadServerCertificate{Account: acct, ID: "ASCA1", Name: "shop"},
			refused: "EntityAlreadyExists: The unique identifier ASCA1 is in use."},
		{name: "one too many", given: full, when: upload, refused: "LimitExceeded: Cannot exceed quota for ServerCertificatesPerAccount: 1000"},
		{name: "two tags that are one", when: &UploadServerCertificate{Account: acct, ID: "ASCA2", Name: "shop", Tags: []Tag{{"a", ""}, {"a", "1"}}},
			refused: "InvalidInput: Duplicate tag keys found."},
		{name: "unknown account", when: &UploadServerCertificate{Account: "0", ID: "ASCA2", Name: "shop"}, refused: "NoSuchEntity: The account with id 0 cannot be found."},
		{name: "renamed and moved", given: []Event{siteCert}, when: &UpdateServerCertificate{Account: acct, Name: "site", NewName: "shop", NewPath: "/x/"},
			then: []Event{&ServerCertificateUpdated{ID: "ASCA1", Name: "shop", Path: "/x/"}},
			check: func(s *spying) {
				if c, ok := s.ServerCertificate(acct, "shop"); !ok || c.ARN() != "arn:aws:iam::123456789012:server-certificate/x/shop" {
					s.Errorf("the certificate is %+v", c)
				}
				below(s, "/x", "ASCA1")
			}},
		{name: "as it is", given: []Event{siteCert}, when: &UpdateServerCertificate{Account: acct, Name: "site"},
			then: []Event{&ServerCertificateUpdated{ID: "ASCA1", Name: "Site", Path: "/"}}},
		{name: "to a name in use", given: []Event{siteCert, second}, when: &UpdateServerCertificate{Account: acct, Name: "Site", NewName: "Shop"},
			refused: "EntityAlreadyExists: The Server Certificate with name Shop already exists."},
		{name: "unknown", given: []Event{siteCert}, when: &UpdateServerCertificate{Account: acct, Name: "none"}, refused: gone},
		{name: "one", given: []Event{siteCert, &ServerCertificateUpdated{ID: "ASCA1", Name: "site", Path: "/x/"}}, when: &DeleteServerCertificate{Account: acct, Name: "site"},
			then: []Event{&ServerCertificateDeleted{ID: "ASCA1"}},
			check: func(s *spying) {
				below(s, "/x")
				if _, ok := s.ServerCertificate(acct, "site"); ok || s.Count(acct, KindServerCertificate) != 0 {
					s.Error("it is there")
				}
			}},
		{name: "unknown", given: []Event{siteCert}, when: &DeleteServerCertificate{Account: acct, Name: "none"}, refused: gone},
		{name: "of another account", given: []Event{siteCert}, when: &DeleteServerCertificate{Account: other, Name: "site"},
			refused: "NoSuchEntity: The Server Certificate with name site cannot be found."},
		{name: "server certificate", given: []Event{siteCert}, when: &TagEntity{Kind: KindServerCertificate, Account: acct, Name: "site", Tags: tags},
			then: []Event{&EntityTagged{Kind: KindServerCertificate, ID: "ASCA1", Tags: tags}},
			check: func(s *spying) {
				if c, _ := s.ServerCertificate(acct, "site"); !reflect.DeepEqual(c.Tags, []Tag{{"a", "2"}, {"b", "1"}}) {
					s.Errorf("the tags are %v", c.Tags)
				}
			}},
		{name: "server certificate", given: []Event{second}, when: &UntagEntity{Kind: KindServerCertificate, Account: acct, Name: "shop", Keys: []string{"a", "B"}},
			then: []Event{&EntityUntagged{Kind: KindServerCertificate, ID: "ASCA2", Keys: []string{"a", "B"}}},
			check: func(s *spying) {
				if c, _ := s.ServerCertificate(acct, "shop"); !reflect.DeepEqual(c.Tags, []Tag{{"b", "1"}}) {
					s.Errorf("the tags are %v", c.Tags)
				}
			}},
	}
}

// below checks which certificates have a path with that prefix.
func below(s *spying, prefix string, want ...ID) {
	var got []ID
	s.ServerCertificatesBelow(acct, prefix, "", func(c *ServerCertificate) bool {
		got = append(got, c.ID)
		return true
	})
	if !slices.Equal(got, want) {
		s.Errorf("below %s are %v", prefix, got)
	}
}

// serverCertificateCommands make any command about server certificates.
func serverCertificateCommands(t *rapid.T) []func() Command {
	return []func() Command{
		func() Command {
			return &UploadServerCertificate{Account: drawAccount(t), ID: drawID(t), Name: drawName(t), Path: drawPath(t), Body: drawText(t), Tags: drawTags(t)}
		},
		func() Command {
			return &UpdateServerCertificate{Account: drawAccount(t), Name: drawName(t), NewName: oneOf(t, "new", "", drawName(t)), NewPath: drawPath(t)}
		},
		func() Command { return &DeleteServerCertificate{Account: drawAccount(t), Name: drawName(t)} },
	}
}
