package awsapi

var usagePlans = handlers{}
