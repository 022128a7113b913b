package conformance

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestGoSDK uses the SDK's clients, which sign more headers than others do and
// turn errors into types.
func TestGoSDK(t *testing.T) {
	endpoint := getenv(t, "AWS_ENDPOINT_URL")
	keys := credentials.NewStaticCredentialsProvider(getenv(t, "AWS_ACCESS_KEY_ID"), getenv(t, "AWS_SECRET_ACCESS_KEY"), "")
	config := aws.Config{BaseEndpoint: &endpoint, Region: getenv(t, "AWS_REGION"), Credentials: keys}
	ctx := t.Context()

	me, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *me.Arn != "arn:aws:iam::123456789012:root" {
		t.Errorf("the caller is %s", *me.Arn)
	}

	client := iam.NewFromConfig(config)
	made, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("sdk-ada"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("sdk-ada")})
	if err != nil {
		t.Fatal(err)
	}
	if *got.User.UserId != *made.User.UserId || !got.User.CreateDate.Equal(*made.User.CreateDate) || len(got.User.Tags) != 1 {
		t.Errorf("made %+v, got %+v", made.User, got.User)
	}
	_, err = client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("SDK-Ada")})
	if exists := (*types.EntityAlreadyExistsException)(nil); !errors.As(err, &exists) || exists.ErrorMessage() != "User with name SDK-Ada already exists." {
		t.Errorf("got %v", err)
	}
	if _, err := client.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("sdk-ada")}); err != nil {
		t.Fatal(err)
	}
	_, err = client.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("sdk-ada")})
	if missing := (*types.NoSuchEntityException)(nil); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	// A client without a region signs an empty one.
	config.Region = ""
	if _, err := iam.NewFromConfig(config, func(o *iam.Options) { o.Region = "" }).ListUsers(ctx, &iam.ListUsersInput{}); err != nil {
		t.Errorf("without a region: %v", err)
	}
}
