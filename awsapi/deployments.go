package awsapi

var deployments = handlers{}
