package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// MFADevice is a virtual device that shows one-time codes. Its identifier is its serial
// number, which is its ARN; in the account it is known by its path and name together.
type MFADevice struct {
	ID      ID
	Account AccountID
	Name    string // with the path: "phone", "team/phone"
	Created Time
	Made    Position // where it was made: it names the seed
	Sealed  []byte   // the seed, encrypted
	Tags    []Tag
	Owner   ID     // the user, or the account's number for its root, that it is enabled for; empty for nobody
	Enabled Time   // since when
	Used    uint64 // the latest of its time steps whose code was used: no code counts twice
}

// MaxMFADevices is how many devices, passkeys among them, a user or a root may have ("IAM and AWS STS quotas").
const MaxMFADevices = 8

// SerialNumber is that of a virtual device: arn:PARTITION:iam::ACCOUNT:mfa/path/name.
func (p Partition) SerialNumber(account AccountID, name string) ID {
	return ID(p.ARN(KindMFADevice, account, "/", name))
}

// Handle makes an MFADevice a record of a table, by its key, as do Is and AppendDigest.
func (d *MFADevice) Handle() table.Handle { return table.HandleOf(d.ID) }

// Is tells whether the MFADevice has that key.
func (d *MFADevice) Is(key string) bool { return string(d.ID) == key }

// AppendDigest appends all that the MFADevice has.
func (d *MFADevice) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "mfa-device")
	b = digest.AppendString(b, d.ID)
	b = digest.AppendString(b, d.Account)
	b = digest.AppendString(b, d.Name)
	b = digest.AppendInt(b, int64(d.Created))
	b = digest.AppendInt(b, uint64(d.Made))
	b = digest.AppendString(b, d.Sealed)
	b = appendTags(b, d.Tags)
	b = digest.AppendString(b, d.Owner)
	b = digest.AppendInt(b, int64(d.Enabled))
	return digest.AppendInt(b, d.Used)
}

func (d *MFADevice) held() held {
	return held{kind: KindMFADevice, id: d.ID, account: d.Account, name: d.Name, path: "/", tags: &d.Tags}
}

// MFADevice returns the device with that serial number.
func (s *State) MFADevice(serial ID) (*MFADevice, bool) { return s.mfaDevices.Get(serial) }

// MFADevice returns the device with that serial number. Nothing relies on it: a command
// that was made by its seed says which device that was.
func (w *Witness) MFADevice(serial ID) (*MFADevice, bool) { return w.state.MFADevice(serial) }

// MFADevices yields the devices of an account in order of path and name without regard to
// case, those after the one whose path and name after is.
func (s *State) MFADevices(account AccountID, after string, yield func(*MFADevice) bool) {
	list(s, &s.mfaDevices, account, KindMFADevice, after, yield)
}

// MFADevicesOf returns the devices of a user, or of a root by its account's number, in
// order of serial number.
func (s *State) MFADevicesOf(owner ID) (devices []*MFADevice) {
	s.devices.Each(string(owner), "", func(h table.Handle) bool {
		if d, ok := s.mfaDevices.Rows.Get(h); ok {
			devices = append(devices, d)
		}
		return true
	})
	slices.SortFunc(devices, func(a, b *MFADevice) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return devices
}

// CreateMFADevice makes a virtual device that is enabled for nobody yet.
type CreateMFADevice struct {
	Account AccountID
	Name    string // with the path
	Sealed  []byte
	Tags    []Tag
}

// MFADeviceCreated made a virtual device.
type MFADeviceCreated struct {
	Account AccountID
	ID      ID
	Name    string
	Sealed  []byte
	Tags    []Tag
	Created Time
}

func (c *CreateMFADevice) decide(s *State, m Meta) ([]Event, error) {
	id := s.partition.SerialNumber(c.Account, c.Name)
	if _, taken := s.names.find(scopeOf(c.Account, KindMFADevice), c.Name); taken {
		return nil, refuse(EntityAlreadyExists, "MFA device already exists.")
	}
	if err := s.mayCreate(c.Account, KindMFADevice, c.Name, id); err != nil {
		return nil, err
	}
	if err := mayTag(KindMFADevice, nil, c.Tags, sameTag); err != nil {
		return nil, err
	}
	return []Event{&MFADeviceCreated{Account: c.Account, ID: id, Name: c.Name, Sealed: c.Sealed, Tags: c.Tags, Created: m.Time}}, nil
}

func (e *MFADeviceCreated) evolve(s *State) {
	d := &MFADevice{ID: e.ID, Account: e.Account, Name: e.Name, Created: e.Created, Made: s.position, Sealed: e.Sealed,
		Tags: withTags(KindMFADevice, nil, e.Tags)}
	s.mfaDevices.Put(d)
	s.names.add(scopeOf(d.Account, KindMFADevice), d.Name, d.Handle())
}

// DeleteMFADevice removes a virtual device that is enabled for nobody.
type DeleteMFADevice struct {
	Account AccountID
	ID      ID
}

// MFADeviceDeleted removed a virtual device.
type MFADeviceDeleted struct {
	ID ID
}

func (c *DeleteMFADevice) decide(s *State, _ Meta) ([]Event, error) {
	d, err := s.mustDevice(c.Account, c.ID)
	if err != nil {
		return nil, err
	}
	if d.Owner != "" {
		return nil, refuse(DeleteConflict, "MFA VirtualDevice in use. Must deactivate first.")
	}
	return []Event{&MFADeviceDeleted{ID: d.ID}}, nil
}

func (e *MFADeviceDeleted) evolve(s *State) {
	if d, ok := s.mfaDevices.Get(e.ID); ok {
		s.names.remove(scopeOf(d.Account, KindMFADevice), d.Name)
		s.mfaDevices.Delete(d)
	}
}

// Codes are two consecutive codes of a device that the proposer has found right.
type Codes struct {
	Made Position // of the device whose seed they were checked by
	Step uint64   // the time step of the second one; zero in a repetition of an attempt
}

// EnableMFADevice enables a device for a user, or the root where User is empty.
type EnableMFADevice struct {
	Account AccountID
	User    string
	ID      ID
	Codes   Codes
}

// MFADeviceEnabled enabled a device for a user or root.
type MFADeviceEnabled struct {
	ID      ID
	Owner   ID
	Used    uint64
	Enabled Time
}

func (c *EnableMFADevice) decide(s *State, m Meta) ([]Event, error) {
	owner, _, err := s.keyOwner(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	d, err := s.mustDevice(c.Account, c.ID)
	switch {
	case err != nil:
		return nil, err
	case d.Owner != "":
		return nil, refuse(EntityAlreadyExists, "MFA Device is already in use.")
	case s.CountMFA(owner) >= MaxMFADevices:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for MfaDevicesPerUser: %d", MaxMFADevices)
	}
	if err := d.mayUse(c.Codes); err != nil {
		return nil, err
	}
	return []Event{&MFADeviceEnabled{ID: d.ID, Owner: owner, Used: c.Codes.Step, Enabled: m.Time}}, nil
}

func (e *MFADeviceEnabled) evolve(s *State) {
	s.assign(e.ID, func(d *MFADevice) { d.Owner, d.Enabled, d.Used = e.Owner, e.Enabled, e.Used })
}

// ResyncMFADevice goes on from later codes of a user's device, or of the root's where User is empty.
type ResyncMFADevice struct {
	Account AccountID
	User    string
	ID      ID
	Codes   Codes
}

// MFADeviceResynced notes that codes of a device were used.
type MFADeviceResynced struct {
	ID   ID
	Used uint64
}

func (c *ResyncMFADevice) decide(s *State, _ Meta) ([]Event, error) {
	if d, ok := s.mfaDevices.Get(c.ID); ok && c.Codes.Made != 0 && d.Made != c.Codes.Made {
		return nil, d.mayUse(c.Codes)
	}
	d, err := s.mustOwnDevice(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	if err := d.mayUse(c.Codes); err != nil {
		return nil, err
	}
	return []Event{&MFADeviceResynced{ID: d.ID, Used: c.Codes.Step}}, nil
}

func (e *MFADeviceResynced) evolve(s *State) {
	s.assign(e.ID, func(d *MFADevice) { d.Used = e.Used })
}

// UseMFACode notes that a code of a device was shown, so that it is never good again.
type UseMFACode struct {
	Account AccountID
	Owner   ID // whose the device is: a user's identifier, or the account's number for its root
	ID      ID
	Codes   Codes
}

// decide refuses in the words of STS, and alike whatever is wrong: who shows a code that is
// no good learns nothing of the device.
func (c *UseMFACode) decide(s *State, _ Meta) ([]Event, error) {
	d, ok := s.mfaDevices.Get(c.ID)
	if !ok || d.Account != c.Account || d.Owner != c.Owner || d.Made != c.Codes.Made || c.Codes.Step <= d.Used {
		return nil, refuse(AccessDenied, "%s", MFAFailed)
	}
	return []Event{&MFADeviceResynced{ID: d.ID, Used: c.Codes.Step}}, nil
}

// MFAFailed is what whoever shows a code that is no good is told.
const MFAFailed = "MultiFactorAuthentication failed with invalid MFA one time pass code. "

// DeactivateMFADevice takes a device, or a passkey for good, from a user, or from the root where User is empty.
type DeactivateMFADevice struct {
	Account AccountID
	User    string
	ID      ID
}

// MFADeviceDeactivated took a device from whoever it was enabled for.
type MFADeviceDeactivated struct {
	ID ID
}

func (c *DeactivateMFADevice) decide(s *State, _ Meta) ([]Event, error) {
	owner, _, err := s.keyOwner(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	if events, ok := s.removePasskey(owner, c.ID); ok {
		return events, nil
	}
	d, err := s.mustOwnDevice(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&MFADeviceDeactivated{ID: d.ID}}, nil
}

func (e *MFADeviceDeactivated) evolve(s *State) {
	s.assign(e.ID, func(d *MFADevice) { d.Owner, d.Enabled = "", 0 })
}

// assign changes a device, and keeps the relation of owners to devices.
func (s *State) assign(id ID, f func(*MFADevice)) {
	changeRecord(&s.mfaDevices, id, func(d *MFADevice) bool {
		if d.Owner != "" {
			s.devices.Remove(table.HandleOf(d.Owner), d.Handle())
			s.enabled.add(d.Account, -1)
		}
		f(d)
		if d.Owner != "" {
			s.devices.Add(table.HandleOf(d.Owner), d.Handle())
			s.enabled.add(d.Account, 1)
		}
		return true
	})
}

// mustDevice finds a device of the account.
func (s *State) mustDevice(account AccountID, id ID) (*MFADevice, error) {
	if d, ok := s.mfaDevices.Get(id); ok && d.Account == account {
		return d, nil
	}
	return nil, refuse(NoSuchEntity, "MFA Device with serial number %s does not exist.", id)
}

// mustOwnDevice finds a device that is enabled for the user or root named.
func (s *State) mustOwnDevice(account AccountID, user string, id ID) (*MFADevice, error) {
	owner, _, err := s.keyOwner(account, user)
	if err != nil {
		return nil, err
	}
	d, err := s.mustDevice(account, id)
	switch {
	case err != nil:
		return nil, err
	case d.Owner != owner:
		return nil, refuse(NoSuchEntity, "MFA Device invalid for user.")
	}
	return d, nil
}

// mayUse refuses codes of another device's seed, and codes that are no later than those used before.
func (d *MFADevice) mayUse(c Codes) error {
	switch {
	case c.Made != d.Made:
		return refuse(StaleAuthorization, "The device %s was made again meanwhile.", d.ID)
	case c.Step == 0:
		return refuse(StaleAuthorization, "The attempt that this one repeats is not known any more.")
	case c.Step <= d.Used+1: // the first of the two is the step before
		return refuse(InvalidAuthenticationCode, "Authentication code for device is not valid.")
	}
	return nil
}
