package awsapi

var vpcLinks = handlers{}
