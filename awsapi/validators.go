package awsapi

var validators = handlers{}
