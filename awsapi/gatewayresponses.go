package awsapi

var gatewayResponses = handlers{}
