package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go/middleware"

	histories "github.com/writ-iam/writ/test/simulation/judge"
)

// An administrator sets users apart, by their path or a tag, at the moment at which
// an outsider, who is denied what is set apart, writes to them. Who comes first is
// open; histories.Denied knows what must not be.
const (
	duelRest   = 500 * time.Millisecond
	duelWithin = 30 * time.Millisecond // between one's writes and the other's
	blows      = 4                     // of the outsider in a duel
	blowLimit  = 5 * time.Second
	outsider   = "outsider"
)

// permitted is the outsider's permission.
const permitted = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
	{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::*:user` + histories.ApartPath + `*"},
	{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/` + histories.ApartTag + `":"` + histories.ApartValue + `"}}}]}`

// prepareDuels makes the outsider and its key.
func (w *workload) prepareDuels(ctx context.Context) error {
	if out := w.createUser(ctx, outsider); out.outcome != outcomeDone {
		return fmt.Errorf("make the outsider: %s", out.code)
	}
	if _, err := w.api.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String(outsider), PolicyName: aws.String("own"), PolicyDocument: aws.String(permitted)}); err != nil {
		return fmt.Errorf("give the outsider its permission: %w", err)
	}
	key, err := w.api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(outsider)})
	if err != nil {
		return fmt.Errorf("make the outsider's key: %w", err)
	}
	w.outsider = aws.ToString(key.AccessKey.AccessKeyId)
	secret := aws.ToString(key.AccessKey.SecretAccessKey)
	w.secret = append(w.secret, secret)
	w.outside = w.sdk(w.outsider, secret, 1)
	return nil
}

// duels fights one after the other until ctx ends.
func (w *workload) duels(ctx context.Context, rng *rand.Rand) {
	for n := 0; rest(ctx, rng, duelRest); n++ {
		w.duel(ctx, w.called("prize-%d", n), rng)
	}
}

func (w *workload) duel(ctx context.Context, prize string, rng *rand.Rand) {
	in := &iam.CreateUserInput{UserName: &prize, Path: aws.String(histories.ApartPath)}
	if rng.IntN(2) == 0 {
		in = &iam.CreateUserInput{UserName: &prize, Tags: []types.Tag{{Key: aws.String(histories.ApartTag), Value: aws.String(histories.ApartValue)}}}
	}
	key := rng.IntN(2) == 0
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for range blows {
			pause(ctx, rand.N(duelWithin))
			w.blow(ctx, prize, key)
		}
	})
	pause(ctx, rand.N(duelWithin))
	w.expect(w.do(ctx, write{action: "CreateUser", subject: prize, fresh: true}, func(ctx context.Context) (middleware.Metadata, error) {
		out, err := w.api.CreateUser(ctx, in)
		if err != nil {
			return middleware.Metadata{}, err
		}
		return out.ResultMetadata, nil
	}))
}

// blow is one write of the outsider's to what is about to be set apart from it. What
// is told of it is not judged, but what it did.
func (w *workload) blow(ctx context.Context, prize string, key bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blowLimit)
	defer cancel()
	var err error
	if key {
		_, err = w.outside.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &prize})
	} else {
		_, err = w.outside.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &prize, PolicyName: aws.String("own"), PolicyDocument: aws.String(permitted)})
	}
	var absent *types.NoSuchEntityException
	switch {
	case err == nil:
		w.judge.moment("a write of the outsider's that was taken")
	case errors.As(err, &absent):
		w.judge.moment("a write of the outsider's to nobody yet")
	default:
		w.judge.moment("a write of the outsider's that was refused or not answered")
	}
}
