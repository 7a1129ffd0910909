package awsapi

var accessAssociations = handlers{}
