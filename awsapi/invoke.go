package awsapi

var tests = handlers{}
