package sigv4_test

import (
	"crypto/sha256"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/writ-iam/writ/node/sigv4"
)

// A client signs a request, a server checks it.
func Example() {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	bodyHash := sha256.Sum256(nil)
	r := httptest.NewRequest("GET", "http://writ.example.com/v1/cluster", nil)
	signer := &sigv4.Signer{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "sesame", Region: "us-east-1", Service: "writ"}
	signer.Sign(r, bodyHash, now)

	signature, err := sigv4.Parse(r, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(signature.AccessKeyID, signature.Scope)
	fmt.Println(signature.CheckService("iam"))
	fmt.Println(signature.Verify(sigv4.DeriveKey([]byte("sesame"), signature.Scope), bodyHash))
	fmt.Println(signature.Verify(sigv4.DeriveKey([]byte("open"), signature.Scope), bodyHash) == sigv4.ErrSignatureDoesNotMatch)
	// Output:
	// AKIDEXAMPLE {20260701 us-east-1 writ}
	// SignatureDoesNotMatch: Credential should be scoped to correct service: 'iam'.
	// <nil>
	// true
}
