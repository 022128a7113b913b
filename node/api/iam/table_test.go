package iam_test

import (
	"reflect"
	"testing"

	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/api/model"
)

func TestTableAgainstTheModel(t *testing.T) {
	service := model.IAM()
	for i, a := range iam.Actions() {
		if i > 0 && iam.Actions()[i-1].Name >= a.Name {
			t.Errorf("%s is out of order", a.Name)
		}
		if service.Operation(a.Name) == nil {
			t.Errorf("%s is no operation of the model", a.Name)
		}
		if a.Service != iam.Service {
			t.Errorf("%s is of %s", a.Name, a.Service)
		}
		if got := reflect.TypeOf(a.New()).Elem().Name(); got != a.Name+"Input" {
			t.Errorf("%s takes %s", a.Name, got)
		}
		if reads, writes := iam.Methods(a); reads == writes || writes != a.Write {
			t.Errorf("%s: answers %v, writes %v", a.Name, reads, writes)
		}
	}
	if _, ok := iam.Find("NoSuchAction"); ok {
		t.Error("found NoSuchAction")
	}
}
