// Package aws builds the requests that integrations of type AWS make to AWS services,
// signs them, and knows where each service is. It is compiled once for a deployment, is
// pure, and has neither a clock nor credentials but those it is given.
//
//	t, err := aws.Parse("arn:aws:apigateway:us-east-1:dynamodb:action/PutItem")
//	r, err := t.Request(endpoints.Of(t), &aws.Mapped{Verb: "POST", Body: `{…}`})
//	r.Sign(credentials, time.Now())
//	wire := r.Append(nil) // to be sent to r.Endpoint.Address
package aws
