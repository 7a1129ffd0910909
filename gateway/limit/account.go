package limit

// Account is what the calls of a subscription draw on, in one block of memory, so that a
// call with one of 100,000 keys has to look for it once.
type Account struct {
	Bucket Bucket
	Quota  Quota
}
