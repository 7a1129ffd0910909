package awsapi

var authorizers = handlers{}
