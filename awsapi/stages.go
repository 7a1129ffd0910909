package awsapi

var stages = handlers{}
