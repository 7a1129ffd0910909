package awsapi

var integrations = handlers{}
