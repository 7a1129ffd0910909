package awsapi

var models = handlers{}
