package web

// sampleDocument is an API that answers by itself, to look around with.
const sampleDocument = `openapi: 3.0.3
info:
  title: Sample pets
  version: "1.0"
  description: A small API that answers by itself, without an upstream.
servers:
  - url: https://pets.example.com
tags:
  - name: pets
    description: The animals there are.
paths:
  /pets:
    get:
      operationId: listPets
      tags: [pets]
      summary: List all pets
      parameters:
        - name: limit
          in: query
          description: How many to return
          schema: {type: integer, minimum: 1, maximum: 100, default: 20}
      responses:
        "200":
          description: The pets
          content:
            application/json:
              schema:
                type: array
                items: {$ref: "#/components/schemas/Pet"}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses:
          default:
            statusCode: "200"
            responseTemplates: {application/json: '[{"id": 1, "name": "Rex", "kind": "dog"}, {"id": 2, "name": "Tom", "kind": "cat"}]'}
  /pets/{petId}:
    get:
      operationId: getPet
      tags: [pets]
      summary: One pet
      parameters:
        - name: petId
          in: path
          required: true
          description: The pet's number
          schema: {type: integer}
      responses:
        "200":
          description: The pet
          content:
            application/json:
              schema: {$ref: "#/components/schemas/Pet"}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses:
          default:
            statusCode: "200"
            responseTemplates: {application/json: '{"id": 1, "name": "Rex", "kind": "dog"}'}
components:
  schemas:
    Pet:
      type: object
      required: [id, name]
      properties:
        id: {type: integer, description: Its number}
        name: {type: string, description: What it is called}
        kind: {type: string, enum: [dog, cat, bird]}
`
