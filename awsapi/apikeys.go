package awsapi

var apiKeys = handlers{}
