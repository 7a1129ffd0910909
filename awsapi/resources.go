package awsapi

var resources = handlers{}
