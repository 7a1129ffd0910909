package awsapi

var methods = handlers{}
