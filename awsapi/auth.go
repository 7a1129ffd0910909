package awsapi

// authenticate finds out who signed the call, and for which service.
func (c *call) authenticate() error {
	return failure{501, "NotImplementedException", "signed calls are not served yet"}
}
