package awsapi

var account = handlers{}
