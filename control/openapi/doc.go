// Package openapi reads OpenAPI documents into definitions: Swagger 2.0, OpenAPI
// 3.0 and 3.1 (3.2 as far as it says the same), JSON or YAML, with Amazon API
// Gateway's extensions.
//
// Every operation becomes a method, or a located problem says why not. What a
// document asks for and a definition cannot hold is a located problem too, and
// where callers rely on it (a resource policy, a private endpoint) it also keeps
// the API from being deployed. Extensions of other vendors are no business of a
// gateway and are passed over.
//
// It must never open a file or a connection: references to other documents are
// refused. It must never let a document from a stranger take more memory or time
// than its size warrants.
package openapi
