package awsapi

import (
	"cmp"
	"slices"

	"tollgate/control/sdk"
	"tollgate/model"
)

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

// sdkTypes are those that are generated and those that the service also names, in
// the order of their ids. Those that are not generated say so.
var sdkTypes = allSDKTypes()

const notGenerated = ", which are not generated here: export the stage as OpenAPI for a generator of your choice"

func allSDKTypes() []sdkType {
	out := []sdkType{
		{"android", "Android", "SDKs for Android applications" + notGenerated, []sdkProperty{
			{"groupId", "Group ID", "Group of the generated library", true, ""},
			{"artifactId", "Artifact ID", "Name of the generated library", true, ""},
			{"artifactVersion", "Artifact Version", "Version of the generated library", true, ""},
			{"invokerPackage", "Invoker Package", "Java package of the generated code", true, ""},
		}},
		{"objectivec", "iOS (Objective-C)", "SDKs for iOS applications in Objective-C" + notGenerated, []sdkProperty{
			{"classPrefix", "Prefix", "Prefix of the generated classes", true, ""},
		}},
		{"ruby", "Ruby", "SDKs for Ruby applications" + notGenerated, []sdkProperty{
			{"service.name", "Service Name", "Name of the generated client", true, ""},
		}},
		{"swift", "iOS (Swift)", "SDKs for iOS applications in Swift" + notGenerated, []sdkProperty{
			{"classPrefix", "Prefix", "Prefix of the generated classes", true, ""},
		}},
	}
	for _, l := range sdk.Languages {
		t := sdkType{ID: l.ID, FriendlyName: l.Name, Description: "SDK for " + l.Name + " applications"}
		for _, p := range l.Parameters {
			t.Properties = append(t.Properties, sdkProperty{p.Name, p.Label, p.About, p.Required, p.Default})
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b sdkType) int { return cmp.Compare(a.ID, b.ID) })
	return out
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

// getSDK writes a client library of what a stage serves.
func (c *call) getSDK() (any, error) {
	if _, err := c.api(); err != nil {
		return nil, err
	}
	t, err := findSDKType(c.args["sdk_type"])
	if err != nil {
		return nil, badRequest("Invalid SDK type specified: %.100s", c.args["sdk_type"])
	}
	l, err := sdk.ByID(t.ID)
	if err != nil {
		return nil, badRequest("SDKs of type %s are not generated here; there are %s, and the stage can be exported as OpenAPI for a generator of your choice", t.ID, sdk.IDs())
	}
	id, stage := c.args["restapi_id"], c.args["stage_name"]
	o := sdk.Options{Language: l.ID, Parameters: map[string]string{}, BaseURL: "https://" + id + ".execute-api." + c.Region + ".amazonaws.com/" + stage}
	if at := c.gateway(); at != nil { // by path, which every client resolves
		o.BaseURL = at.String() + "/_aws/execute-api/" + id + "/" + stage
	}
	for _, p := range l.Parameters {
		o.Parameters[p.Name] = cmp.Or(c.query.Get(p.Name), c.query.Get(p.Also))
	}
	got, err := c.Plane.StageClient(c.ctx, c.actor, id, stage, o)
	if model.KindOf(err) == model.NotFound {
		return nil, missing(err, "Invalid stage identifier specified")
	}
	if err != nil {
		return nil, err
	}
	body, err := got.Zip(got.DeployedAt)
	if err != nil {
		return nil, err
	}
	name := l.ID + "_" + got.DeployedAt.UTC().Format("2006-01-02_15-04Z") + ".zip"
	return file{contentType: "application/zip", disposition: `attachment; filename="` + name + `"`, body: body}, nil
}
