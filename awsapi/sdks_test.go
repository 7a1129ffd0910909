package awsapi_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"testing"

	"tollgate/control/sdk"
)

func TestSDKTypes(t *testing.T) {
	f := newFace(t)
	var all struct{ Item []struct{ ID string } }
	f.call("GET", "/sdktypes", nil).want(200).into(&all)
	var ids []string
	for _, s := range all.Item {
		ids = append(ids, s.ID)
		f.call("GET", "/sdktypes/"+s.ID, nil).want(200)
	}
	for _, id := range []string{"android", "java", "javascript", "objectivec", "ruby", "swift", "go", "python", "typescript"} {
		if !slices.Contains(ids, id) {
			t.Errorf("listed %s, without %s", ids, id)
		}
	}
	f.call("GET", "/sdktypes/cobol", nil).wantError(404, "NotFoundException", "Invalid SDK type specified: cobol")
}

func TestGetSDK(t *testing.T) {
	f := newFace(t)
	id := f.call("POST", "/restapis?mode=import", exportedDocument).want(201).field("id")
	at := "/restapis/" + id
	f.call("POST", at+"/deployments", map[string]any{"stageName": "prod"}).want(201)
	for _, l := range sdk.Languages {
		var given, required []string
		for _, p := range l.Parameters {
			if p.Default == "" {
				given = append(given, cmp.Or(p.Also, p.Name)+"=Pets")
			}
			if p.Required {
				required = append(required, p.Name)
			}
		}
		r := f.call("GET", at+"/stages/prod/sdks/"+l.ID+"?"+strings.Join(given, "&"), nil).want(200)
		if got := r.Header.Get("Content-Type"); got != "application/zip" {
			t.Errorf("%s: content type %s", l.ID, got)
		}
		if got := r.Header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="`+l.ID+"_") || !strings.HasSuffix(got, `Z.zip"`) {
			t.Errorf("%s: disposition %s", l.ID, got)
		}
		if !unzipped(t, r.Body, id+".execute-api.us-east-1.amazonaws.com/prod", "getPetsByPetId", "GetPetsByPetID", "get_pets_by_pet_id") {
			t.Errorf("%s: the client does not know its address and operation", l.ID)
		}
		if len(required) > 0 {
			r := f.call("GET", at+"/stages/prod/sdks/"+l.ID, nil).want(400)
			if !strings.Contains(string(r.Body), required[0]) {
				t.Errorf("%s without parameters: %s", l.ID, r.Body)
			}
		}
	}
	for _, id := range []string{"android", "objectivec", "ruby", "swift"} {
		r := f.call("GET", at+"/stages/prod/sdks/"+id, nil).want(400)
		if !strings.Contains(string(r.Body), "BadRequestException") && r.Header.Get("X-Amzn-Errortype") != "BadRequestException" || !strings.Contains(string(r.Body), sdk.IDs()) {
			t.Errorf("%s: %s", id, r.Body)
		}
	}
	f.call("GET", at+"/stages/prod/sdks/cobol", nil).wantError(400, "BadRequestException", "Invalid SDK type specified: cobol")
	f.call("GET", at+"/stages/none/sdks/javascript", nil).wantError(404, "NotFoundException", "Invalid stage identifier specified")
	f.send(f.account("Eve"), "GET", at+"/stages/prod/sdks/javascript", nil).want(404)
}

// unzipped says whether an archive's files have the first text, and one of the others.
func unzipped(t *testing.T, body []byte, has string, oneOf ...string) bool {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(&all, r)
		_ = r.Close()
	}
	return strings.Contains(all.String(), has) && slices.ContainsFunc(oneOf, func(s string) bool { return strings.Contains(all.String(), s) })
}
