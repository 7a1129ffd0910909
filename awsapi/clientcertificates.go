package awsapi

var clientCertificates = handlers{}
