package iam_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	mathrand "math/rand/v2"
)

// files are certificates and keys by the names that stories have for them. Those that
// sign are new in each run; the SSH keys are the same in all.
var files = sync.OnceValue(func() map[string]string {
	f := map[string]string{}
	root := signed("root", nil, ecdsaKey(), from2020, to2100)
	inner := signed("inner", root, ecdsaKey(), from2020, to2100)
	site := signed("site", inner, ecdsaKey(), from2020, to2100)
	alone := signed("alone", nil, rsaKey(), from2020, to2100)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	f["site.crt"], f["site.key"] = site.text(), block("EC PRIVATE KEY", must2(x509.MarshalECPrivateKey(site.key.(*ecdsa.PrivateKey))))
	f["site8.key"] = block("PRIVATE KEY", must2(x509.MarshalPKCS8PrivateKey(site.key)))
	f["alone.crt"], f["alone.key"] = alone.text(), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(alone.key.(*rsa.PrivateKey)))
	f["locked.key"] = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	f["locked8.key"] = block("ENCRYPTED PRIVATE KEY", []byte("secret"))
	f["broken.key"] = block("RSA PRIVATE KEY", []byte("nonsense"))
	f["ed.key"] = block("PRIVATE KEY", must2(x509.MarshalPKCS8PrivateKey(edKey)))
	f["inner.crt"], f["chain.crt"] = inner.text(), inner.text()+"\r\n"+root.text()
	f["reversed.crt"], f["self.crt"] = root.text()+inner.text(), site.text()+inner.text()
	f["prefixed.crt"] = "Certificate:\n" + inner.text()
	f["long.crt"] = inner.text() + root.text() + strings.Repeat(root.text(), 9)
	f["root.crt"] = root.text()
	f["past.crt"] = signed("past", root, site.key, from2020, from2020.AddDate(1, 0, 0)).text()
	f["future.crt"] = signed("future", root, site.key, to2100.AddDate(-1, 0, 0), to2100).text()
	f["ed.crt"] = signed("ed", root, edKey, from2020, to2100).text()
	maps.Copy(f, sshFiles())
	return f
})

// testModulus is the modulus of a key to which there is no private one, drawn from a seed.
func testModulus(bits int, seed uint64) *big.Int {
	b := make([]byte, bits/8)
	r := mathrand.New(mathrand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] |= 0x80
	b[len(b)-1] |= 1
	return new(big.Int).SetBytes(b)
}

// certified is a certificate of a key.
func certified(key *rsa.PublicKey) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: from2020, NotAfter: to2100}
	return block("CERTIFICATE", must2(x509.CreateCertificate(rand.Reader, template, template, key, ecdsaKey())))
}

// sshFiles are keys to which there are no private ones.
func sshFiles() map[string]string {
	module := testModulus
	key := &rsa.PublicKey{N: module(2048, 1), E: 65537}
	line := sshLine("ssh-rsa", []byte{1, 0, 1}, key.N)
	return map[string]string{
		"ada.pub": line + " ada@example.com", "bare.pub": line,
		"ada.pem": block("PUBLIC KEY", must2(x509.MarshalPKIXPublicKey(key))), "ada1.pem": block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(key)),
		"second.pub": sshLine("ssh-rsa", []byte{1, 0, 1}, module(4096, 2)), "third.pub": sshLine("ssh-rsa", []byte{3}, module(2048, 3)),
		"fourth.pub": sshLine("ssh-rsa", []byte{3}, module(2048, 4)), "fifth.pub": sshLine("ssh-rsa", []byte{3}, module(2048, 5)),
		"sixth.pub": sshLine("ssh-rsa", []byte{3}, module(2048, 6)), "short.pub": sshLine("ssh-rsa", []byte{3}, module(1024, 7)),
		"long.pub": sshLine("ssh-rsa", []byte{3}, module(16392, 8)), "even.pub": sshLine("ssh-rsa", []byte{4}, module(2048, 9)),
		"other.pub": sshLine("ssh-dss", []byte{3}, module(2048, 10)), "cut.pub": line[:len(line)-8],
		"padded.pub": sshLine("ssh-rsa", []byte{0, 3}, module(2048, 11)), "lines.pub": line + "\n" + line,
		"ed.pub": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
	}
}

// sshLine is a key in SSH's form, whose exponent is written as given.
func sshLine(algorithm string, exponent []byte, module *big.Int) string {
	var b []byte
	for _, part := range [][]byte{[]byte("ssh-rsa"), exponent, append([]byte{0}, module.Bytes()...)} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return algorithm + " " + base64.StdEncoding.EncodeToString(b)
}

var (
	from2020 = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	to2100   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

type certificate struct {
	der []byte
	key crypto.Signer
}

func (c *certificate) text() string { return block("CERTIFICATE", c.der) }

// signed makes a certificate that another has signed, or that has signed itself.
func signed(name string, by *certificate, key crypto.Signer, from, to time.Time) *certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	parent, signer := template, key
	if by != nil {
		parent, signer = must2(x509.ParseCertificate(by.der)), by.key
	}
	return &certificate{must2(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)), key}
}

func ecdsaKey() crypto.Signer { return must2(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
func rsaKey() crypto.Signer   { return must2(rsa.GenerateKey(rand.Reader, 1024)) }

func block(kind string, b []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// showFiles puts the files into a line whose values name them, hideFiles takes them out.
func showFiles(line string) string {
	for name, text := range files() {
		line = strings.ReplaceAll(line, `"file://`+name+`"`, quoted(text))
	}
	return line
}

func hideFiles(line string) string {
	byLength := slices.SortedFunc(maps.Keys(files()), func(a, b string) int { return len(files()[b]) - len(files()[a]) })
	for _, name := range byLength {
		line = strings.ReplaceAll(line, quoted(files()[name]), `"file://`+name+`"`)
		line = strings.ReplaceAll(line, quoted(strings.TrimSpace(files()[name])), `"file://`+name+`"`)
	}
	return line
}

func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}
