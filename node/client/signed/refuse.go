package signed

import (
	"encoding/xml"
	"net/http"
	"strconv"

	"github.com/writ-iam/writ/node/sigv4"
)

// refused is the document with which S3 refuses.
type refused struct {
	XMLName           xml.Name `xml:"Error"`
	Code              string
	Message, Resource string
}

// RefuseXML answers as S3 refuses a request.
func RefuseXML(w http.ResponseWriter, r *http.Request, why *sigv4.Error) {
	body, err := xml.Marshal(refused{Code: why.Code, Message: why.Message, Resource: r.URL.Path})
	if err != nil { // texts always marshal
		panic(err)
	}
	body = append([]byte(xml.Header), body...)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(why.Status)
	if r.Method != http.MethodHead {
		w.Write(body) // an error means that the caller has gone
	}
}

// asS3 refuses as S3 does.
type asS3 struct{}

func (asS3) Refuse(w http.ResponseWriter, r *http.Request, why *sigv4.Error) { RefuseXML(w, r, why) }
