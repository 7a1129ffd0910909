package awsapi

var exports = handlers{}
