package awsapi

var sdks = handlers{
	"GetSdk":      (*call).getSDK,
	"GetSdkType":  (*call).getSDKType,
	"GetSdkTypes": (*call).getSDKTypes,
}

type sdkType struct {
	ID           string        `json:"id"`
	FriendlyName string        `json:"friendlyName"`
	Description  string        `json:"description"`
	Properties   []sdkProperty `json:"configurationProperties,omitempty"`
}

type sdkProperty struct {
	Name         string `json:"name"`
	FriendlyName string `json:"friendlyName"`
	Description  string `json:"description"`
	Required     bool   `json:"required"`
	DefaultValue string `json:"defaultValue,omitempty"`
}

// sdkTypes are those that the service names, in the order of their ids.
var sdkTypes = []sdkType{
	{"android", "Android", "SDK for Android applications", []sdkProperty{
		{"groupId", "Group ID", "Group of the generated library", true, ""},
		{"artifactId", "Artifact ID", "Name of the generated library", true, ""},
		{"artifactVersion", "Artifact Version", "Version of the generated library", true, ""},
		{"invokerPackage", "Invoker Package", "Java package of the generated code", true, ""},
	}},
	{"java", "Java", "SDK for Java applications", []sdkProperty{
		{"service.name", "Service Name", "Name of the generated client", true, ""},
		{"java.package-name", "Java Package Name", "Java package of the generated code", true, ""},
		{"java.build-system", "Java Build System", "Build system of the generated project: gradle or maven", false, "gradle"},
		{"java.group-id", "Java Group ID", "Group of the generated library", false, ""},
		{"java.artifact-id", "Java Artifact ID", "Name of the generated library", false, ""},
		{"java.artifact-version", "Java Artifact Version", "Version of the generated library", false, ""},
	}},
	{"javascript", "JavaScript", "SDK for JavaScript applications", nil},
	{"objectivec", "iOS (Objective-C)", "SDK for iOS applications in Objective-C", []sdkProperty{
		{"classPrefix", "Prefix", "Prefix of the generated classes", true, ""},
	}},
	{"ruby", "Ruby", "SDK for Ruby applications", []sdkProperty{
		{"service.name", "Service Name", "Name of the generated client", true, ""},
	}},
	{"swift", "iOS (Swift)", "SDK for iOS applications in Swift", []sdkProperty{
		{"classPrefix", "Prefix", "Prefix of the generated classes", true, ""},
	}},
}

func findSDKType(id string) (sdkType, error) {
	for _, t := range sdkTypes {
		if t.ID == id {
			return t, nil
		}
	}
	return sdkType{}, notFound("Invalid SDK type specified: %.100s", id)
}

func (c *call) getSDKTypes() (any, error) {
	return paged(c, sdkTypes, func(t sdkType) string { return t.ID }, func(t sdkType) any { return t })
}

func (c *call) getSDKType() (any, error) { return findSDKType(c.args["sdktype_id"]) }

// getSDK refuses clearly: a client made of nothing would be found out too late.
func (c *call) getSDK() (any, error) {
	if _, err := c.api(); err != nil {
		return nil, err
	}
	t, err := findSDKType(c.args["sdk_type"])
	if err != nil {
		return nil, badRequest("Invalid SDK type specified: %.100s", c.args["sdk_type"])
	}
	return nil, badRequest("SDKs of type %s are not generated here; export the stage as OpenAPI and use a generator of your choice", t.ID)
}
