package signed_test

import (
	"fmt"
	"net/http"

	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/client/signed"
)

// orders says what requests to a service of orders need permission for.
type orders struct{}

func (orders) Ask(r *http.Request) (action, resource string, more shape.Context) {
	return "orders:Read", "arn:aws:orders:::order" + r.URL.Path, nil
}

func Example() {
	c, err := client.New(client.Config{Endpoint: "https://writ.example.com", AccessKeyID: "AKIA...", SecretAccessKey: "of the service"})
	if err != nil {
		panic(err)
	}
	g, err := signed.New(signed.Config{Authority: c, Service: "orders", Asker: orders{}})
	if err != nil {
		panic(err)
	}
	http.Handle("/", g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello,", signed.CallerOf(r.Context()).ARN)
	})))
}
