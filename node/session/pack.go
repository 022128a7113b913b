package session

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// The forms of policies and tags. They are forever.
const (
	formNone    = 0 // there are none, and nothing follows
	formPlain   = 1 // as they are
	formDeflate = 2 // their length, and they, compressed with the dictionary; shorter than plain
)

// maxUnpacked bounds what policies and tags unpack to, in bytes: what they have at most by
// their own limits, with lengths and counts of up to two bytes.
const maxUnpacked = (MaxPolicy+MaxManaged*MaxARN+MaxTags*(MaxTagKey+MaxTagValue)+MaxTags*MaxTagKey+MaxKeys*(MaxKeyName+MaxKeyValues*MaxKeyValue))*utf8.UTFMax +
	2*(1+1+MaxManaged+1+2*MaxTags+1+MaxTags+1+MaxKeys*(3+MaxKeyValues))

// dictionary is what policies and tags are expected to look like, the likeliest last: whatever
// repeats it takes less room. It is forever; a better one needs a form of its own.
const dictionary = `CostCenterDepartmentEnvironmentOwnerProjectTeamUserdevelopmentproductionstagingtest` +
	`"NotPrincipal":"NotAction":["NotResource":["Sid":"` +
	`"Bool":{"aws:SecureTransport":"true"}"aws:MultiFactorAuthPresent"IpAddress":{"aws:SourceIp":"` +
	`"StringNotEquals":{"ForAnyValue:StringLike":{"ForAllValues:StringEquals":{"aws:TagKeys":["` +
	`"ArnLike":{"aws:SourceArn":"Null":{"DateLessThan":{"aws:CurrentTime":"` +
	`"aws:RequestedRegion":"us-east-1us-west-2eu-west-1eu-central-1` +
	`"Condition":{"StringLike":{"s3:prefix":["StringEquals":{"aws:ResourceTag/aws:PrincipalTag/${aws:username}` +
	`arn:aws:iam::aws:policy/AdministratorAccessarn:aws:iam::aws:policy/ReadOnlyAccess` +
	`arn:aws:secretsmanager:kms:Decryptsts:AssumeRolelogs:CreateLogGrouplambda:InvokeFunction` +
	`arn:aws:sqs:sns:arn:aws:dynamodb:us-east-1:table/dynamodb:GetItemdynamodb:PutItemdynamodb:Query` +
	`ec2:Describe*arn:aws:ec2:arn:aws:iam::role/iam:PassRolearn:aws:logs:` +
	`s3:ListAllMyBucketss3:DeleteObject","s3:PutObject","s3:GetObject","s3:ListBucket","arn:aws:s3:::` +
	"{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n      \"Action\": [\n        \"s3:Get*\"\n      ],\n      \"Resource\": \"*\"\n    }\n  ]\n}" +
	`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"},` +
	`{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`

// PackedSize is how much of the room for them the policies and tags take, in percent, as AWS's
// PackedPolicySize: the bytes that they have in a token, of MaxPacked. It is rounded up, so
// that it is 0 for none alone, and more than 100 exactly where Mint finds no room for them. What
// the provider of a web identity says shares the room with them, and takes none where they are none. It
// never falls while those bytes grow; a text that repeats another takes fewer of them than one
// that does not.
func (c *Claims) PackedSize() (percentage int) {
	if !c.passes() {
		return 0
	}
	_, packed := c.pack()
	return percent(len(packed))
}

// percent is a number of packed bytes as a percentage of MaxPacked, rounded up.
func percent(size int) int { return (size*100 + MaxPacked - 1) / MaxPacked }

// passes tells whether the claims have policies or tags.
func (c *Claims) passes() bool {
	return c.Policy != "" || len(c.Managed) > 0 || len(c.Tags) > 0 || len(c.Transitive) > 0
}

// pack makes the bytes of the policies, the tags and the keys, in the form that takes fewest.
func (c *Claims) pack() (form byte, packed []byte) {
	if !c.passes() && len(c.Keys) == 0 {
		return formNone, nil
	}
	plain := appendTexts(appendText(nil, c.Policy), c.Managed)
	plain = binary.AppendUvarint(plain, uint64(len(c.Tags)))
	for _, t := range c.Tags {
		plain = appendText(appendText(plain, t.Key), t.Value)
	}
	plain = appendTexts(plain, c.Transitive)
	if c.version() == versionKeys {
		plain = binary.AppendUvarint(plain, uint64(len(c.Keys)))
		for _, k := range c.Keys {
			many := uint64(0)
			if k.Many {
				many = 1
			}
			plain = appendTexts(binary.AppendUvarint(appendText(plain, k.Name), many), k.Values)
		}
	}
	if packed := deflate(plain); len(packed) < len(plain) {
		return formDeflate, packed
	}
	return formPlain, plain
}

// unpack reads what pack made, into the claims, and tells whether it could.
func (c *Claims) unpack(form byte, packed string, version byte) bool {
	if len(packed) > MaxPacked {
		return false
	}
	plain := packed
	switch form {
	case formNone:
		return packed == ""
	case formDeflate:
		var ok bool
		if plain, ok = inflate(packed); !ok {
			return false
		}
	case formPlain:
	default:
		return false
	}
	d := decoder{rest: plain}
	c.Policy = d.text()
	c.Managed = d.texts(MaxManaged)
	if n := d.count(MaxTags); n > 0 {
		c.Tags = make([]Tag, n)
	}
	for i := range c.Tags {
		c.Tags[i].Key = d.text()
		c.Tags[i].Value = d.text()
	}
	c.Transitive = d.texts(MaxTags)
	if version == versionKeys {
		c.Keys = d.keys()
	}
	return !d.bad && d.rest == "" && (c.passes() || len(c.Keys) > 0)
}

// keys reads what a provider says.
func (d *decoder) keys() []Claim {
	list := make([]Claim, d.count(MaxKeys))
	for i := range list {
		list[i].Name = d.text()
		many := d.uvarint()
		if many > 1 {
			d.fail()
		}
		list[i].Many, list[i].Values = many == 1, d.texts(MaxKeyValues)
	}
	return list
}

// Compressors are large, and are used again.
var (
	deflaters = sync.Pool{New: func() any {
		w, err := flate.NewWriterDict(nil, flate.DefaultCompression, []byte(dictionary))
		if err != nil { // only for levels that there are not
			panic(fmt.Sprintf("compress: %v", err))
		}
		return w
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

// deflate is the length of plain, and plain compressed.
func deflate(plain []byte) []byte {
	var out bytes.Buffer
	out.Write(binary.AppendUvarint(nil, uint64(len(plain))))
	w := deflaters.Get().(*flate.Writer)
	w.Reset(&out)
	_, err := w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil { // a buffer takes everything
		panic(fmt.Sprintf("compress %d bytes: %v", len(plain), err))
	}
	w.Reset(nil)
	deflaters.Put(w)
	return out.Bytes()
}

// inflate reads what deflate made of something that it made shorter.
func inflate(packed string) (plain string, ok bool) {
	d := decoder{rest: packed}
	n := d.uvarint()
	if d.bad || n > maxUnpacked || n <= uint64(len(packed)) {
		return "", false
	}
	from := strings.NewReader(d.rest)
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(from, []byte(dictionary)); err != nil { // of a reader that holds nothing
		return "", false
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", false
	}
	if more, err := r.Read(make([]byte, 1)); more != 0 || !errors.Is(err, io.EOF) || from.Len() != 0 {
		return "", false
	}
	return string(b), true
}
