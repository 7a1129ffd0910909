package model

// Refusal is a kind of case in which the gateway answers by itself, as the types of
// gateway responses of Amazon API Gateway name it.
type Refusal struct {
	Type   string
	Status string // empty: that of the case
	When   string
}

// Types that hold for all of their class that are not changed themselves.
const (
	Default4XX = "DEFAULT_4XX"
	Default5XX = "DEFAULT_5XX"
)

// Refusals are all kinds, by type.
var Refusals = []Refusal{
	{"ACCESS_DENIED", "403", "A policy or an authorizer keeps the caller out"},
	{"API_CONFIGURATION_ERROR", "500", "What the method has gives no answer for the call"},
	{"AUTHORIZER_CONFIGURATION_ERROR", "500", "The authorizer's answer cannot be read"},
	{"AUTHORIZER_FAILURE", "500", "The authorizer failed"},
	{"BAD_REQUEST_BODY", "400", "The body does not fit its model"},
	{"BAD_REQUEST_PARAMETERS", "400", "A parameter that is asked for is missing"},
	{Default4XX, "", "Any refusal of the caller's doing that is not changed itself"},
	{Default5XX, "", "Any failure of ours or the upstream's that is not changed itself"},
	{"EXPIRED_TOKEN", "403", "The token is too old"},
	{"INTEGRATION_FAILURE", "504", "The upstream failed"},
	{"INTEGRATION_TIMEOUT", "504", "The upstream did not answer in time"},
	{"INVALID_API_KEY", "403", "The key is missing, unknown or in no plan of the stage"},
	{"INVALID_SIGNATURE", "403", "The signature is wrong"},
	{"MISSING_AUTHENTICATION_TOKEN", "403", "There is no such route, or the call had to be signed"},
	{"QUOTA_EXCEEDED", "429", "The plan's quota is used up"},
	{"REQUEST_TOO_LARGE", "413", "The request is too large; this one cannot be changed"},
	{"RESOURCE_NOT_FOUND", "404", "There is no such resource"},
	{"THROTTLED", "429", "A rate limit is reached"},
	{"UNAUTHORIZED", "401", "The caller does not say who they are"},
	{"UNSUPPORTED_MEDIA_TYPE", "415", "No template takes the body"},
	{"WAF_FILTERED", "403", "The firewall keeps the call out"},
}

// RefusalOf finds a kind by its type.
func RefusalOf(kind string) (Refusal, bool) {
	for _, r := range Refusals {
		if r.Type == kind {
			return r, true
		}
	}
	return Refusal{}, false
}

// DefaultType is the type that holds for this one where it is not changed itself.
func (r Refusal) DefaultType() string {
	if r.Type == Default5XX || r.Status != "" && r.Status[0] == '5' {
		return Default5XX
	}
	return Default4XX
}
