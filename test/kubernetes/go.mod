module github.com/writ-iam/writ/test/kubernetes

go 1.26.0

require github.com/writ-iam/writ v0.0.0

require (
	k8s.io/apiserver v0.37.2 // indirect
	sigs.k8s.io/aws-iam-authenticator v0.6.13 // indirect
)

replace github.com/writ-iam/writ => ../..
