package awsapi

var sdks = handlers{}
