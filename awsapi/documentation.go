package awsapi

var documentation = handlers{}
