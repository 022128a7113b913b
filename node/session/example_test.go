package session_test

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/writ-iam/writ/node/session"
)

// A node mints a session of a role, and another that has the key opens its token.
func Example() {
	raw := make([]byte, session.KeySize) // random bytes, from the log
	key, err := session.NewKey(1, raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	claims := &session.Claims{Kind: session.Role, Account: "123456789012", Principal: "AROA2XKZQJ5VEXAMPLE01", Name: "deploy",
		Issued: issued, Expires: issued.Add(time.Hour)}
	made, err := key.Mint("cluster", "incarnation", claims, rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}

	number, err := session.KeyOf(made.Token)
	if err != nil {
		fmt.Println(err)
		return
	}
	opened, err := key.Open("cluster", "incarnation", made.Token)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(number, opened.Name, opened.AccessKey == made.AccessKey, key.Secret(opened.AccessKey) == made.Secret)

	_, err = key.Open("cluster", "another incarnation", made.Token)
	fmt.Println(err)
	// Output:
	// 1 deploy true true
	// open session token: the session token does not open: it was altered, or belongs elsewhere
}
