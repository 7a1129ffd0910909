package awsapi

var domainNames = handlers{}
