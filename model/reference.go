package model

import "strings"

// ModelBase is the address of a model of the API that a definition will be of:
// documents are read before their API has an id.
const ModelBase = "https://apigateway.amazonaws.com/restapis/-/models/"

// OwnModels gives references to models of the definition the API's id.
func (d *Definition) OwnModels(id string) {
	for i := range d.Models {
		if m := &d.Models[i]; strings.Contains(m.Schema, ModelBase) {
			m.Schema = strings.ReplaceAll(m.Schema, ModelBase, strings.Replace(ModelBase, "/-/", "/"+id+"/", 1))
		}
	}
}
