package simulation

import (
	"fmt"
	"sync"
	"time"

	"github.com/writ-iam/writ/test/simulation/judge"
)

// In a duel an administrator sets something apart (a user, a group, by path or by
// tag) at the very moment at which an outsider, who is denied what is set apart,
// writes to it. Who comes first is open; judge.Judge knows what must not be.

const (
	rivals     = 2 // who write for the outsider at once
	blows      = 3 // writes of each in a duel
	prizes     = "prize"
	duelWithin = 20 * time.Millisecond // between one's writes and the other's
)

// outsider is the permission of whom the prizes are set apart from.
const outsider = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
	{"Effect":"Deny","Action":"iam:*","Resource":["arn:aws:iam::*:user` + judge.ApartPath + `*","arn:aws:iam::*:group` + judge.ApartPath + `*"]},
	{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/` + judge.ApartTag + `":"` + judge.ApartValue + `"}}}]}`

// act is a write with its parameters.
type act struct {
	action string
	user   string // empty where it is about a group alone
	pairs  []string
}

// duel is what there is at first, what the outsider does, and what sets it apart.
type duel struct {
	before, attack, apart act
}

// duels are those over a prize of that name.
func duels(name string) []duel {
	guarded := []string{"Tags.member.1.Key", judge.ApartTag, "Tags.member.1.Value", judge.ApartValue}
	user := act{"CreateUser", name, nil}
	apart := act{"CreateUser", name, []string{"Path", judge.ApartPath}}
	guard := act{"CreateUser", name, guarded}
	move := act{"UpdateUser", name, []string{"NewPath", judge.ApartPath}}
	put := act{"PutUserPolicy", name, []string{"PolicyName", "own", "PolicyDocument", outsider}}
	key := act{"CreateAccessKey", name, nil}
	join := act{"AddUserToGroup", "outsider", []string{"GroupName", name}}
	untag := act{"UntagUser", name, []string{"TagKeys.member.1", judge.ApartTag}}
	return []duel{
		{act{}, put, apart},
		{act{}, key, apart},
		{act{}, put, guard},
		{act{}, untag, guard},
		{act{}, join, act{"CreateGroup", "", []string{"GroupName", name, "Path", judge.ApartPath}}},
		{act{}, act{"DeleteUser", name, nil}, apart},
		{user, put, move},
		{user, act{"UpdateUser", name, []string{"NewPath", "/mine/"}}, move},
		{user, put, act{"TagUser", name, guarded}},
	}
}

// mintOutsider makes the outsider, with a document for its permission, and a key.
func (c *crowd) mintOutsider(who *client, document string) key {
	const patience = 30 * time.Second
	c.insist(who, patience, "CreatePolicy", "", "", "PolicyName", "outsider", "PolicyDocument", document)
	k := c.mintWith(who, "outsider", "arn:aws:iam::"+string(c.world.layout.cluster.Account)+":policy/outsider")
	c.world.record(func(h *judge.History) { h.Outsider = k.id })
	return k
}

// fight fights one duel after the other, with clients for the outsider.
func (c *crowd) fight(as key) func(*client) {
	return func(admin *client) {
		var others [rivals]*client
		for i := range others {
			others[i] = c.world.client(fmt.Sprintf("outsider-%d", i+1))
			defer others[i].leave()
		}
		for n := 0; c.rest(within(admin.rng, 300*time.Millisecond, 3*time.Second)); n++ {
			c.duel(admin, others[:], as, pick(admin.rng, duels(fmt.Sprintf("%s%d", prizes, n))))
		}
	}
}

func (c *crowd) duel(admin *client, others []*client, as key, d duel) {
	if d.before.action != "" {
		if out, _ := c.persist(admin, c.root, d.before.action, d.before.user, "", d.before.pairs...); !out.Answered() {
			return
		}
	}
	var wg sync.WaitGroup
	for _, who := range others {
		wg.Go(func() {
			for range blows {
				if !c.rest(within(who.rng, 0, duelWithin)) {
					return
				}
				c.persist(who, as, d.attack.action, d.attack.user, "", d.attack.pairs...)
			}
		})
	}
	if c.rest(within(admin.rng, 0, duelWithin)) {
		c.persist(admin, c.root, d.apart.action, d.apart.user, "", d.apart.pairs...)
	}
	wg.Wait()
}
