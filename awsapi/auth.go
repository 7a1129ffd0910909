package awsapi

// authenticate finds out who signed the call, and for which service.
func (c *call) authenticate() error {
	return failure{501, "NotImplementedException", "signed calls are not served yet"}
}

// serveOther does the calls that tools make to other services on the way.
func (c *call) serveOther() error {
	return failure{501, "NotImplementedException", "the service " + c.service + " is not served here"}
}
