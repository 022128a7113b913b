// Command ask is an example: may a principal do this? It asks the nodes of a cluster with the
// caller's access key, prints the decision, and exits 0 for allow alone.
//
//	WRIT_ENDPOINT=http://127.0.0.1:8420 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \
//	  go run ./examples/ask arn:aws:iam::123456789012:user/alice s3:GetObject arn:aws:s3:::bucket/key
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/writ-iam/writ/node/client"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: ask PRINCIPAL ACTION RESOURCE")
		os.Exit(2)
	}
	decision, err := ask(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
	fmt.Println(decision)
	if decision != "allow" {
		os.Exit(1)
	}
}

func ask(principal, action, resource string) (decision string, err error) {
	c, err := client.New(client.Config{
		Endpoints:   []string{os.Getenv("WRIT_ENDPOINT")},
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := c.Authorize(ctx, client.Question{Principal: principal, Action: action, Resource: resource}, client.Freshness{})
	if err != nil {
		return "", err
	}
	return answer.Decision, nil
}
