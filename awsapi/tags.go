package awsapi

var tags = handlers{}
