terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
variable "endpoint" {}
variable "description" { default = "Pets" }
variable "limit" { default = 20 }
variable "path" { default = "pets" }
provider "aws" {
  region                  = "us-east-1"
  skip_region_validation  = true
  skip_metadata_api_check = true
  endpoints {
    apigateway = var.endpoint
    sts        = var.endpoint
    iam        = var.endpoint
    acm        = var.endpoint
    logs       = var.endpoint
  }
}
resource "aws_api_gateway_rest_api" "pets" {
  name                     = "pets"
  description              = var.description
  binary_media_types       = ["image/png"]
  minimum_compression_size = "1000"
  endpoint_configuration { types = ["REGIONAL"] }
  tags = { team = "web" }
}
resource "aws_api_gateway_resource" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  parent_id   = aws_api_gateway_rest_api.pets.root_resource_id
  path_part   = var.path
}
resource "aws_api_gateway_model" "pet" {
  rest_api_id  = aws_api_gateway_rest_api.pets.id
  name         = "Pet"
  content_type = "application/json"
  schema       = jsonencode({ type = "object", properties = { name = { type = "string" } } })
}
resource "aws_api_gateway_method" "get" {
  rest_api_id        = aws_api_gateway_rest_api.pets.id
  resource_id        = aws_api_gateway_resource.pets.id
  http_method        = "GET"
  authorization      = "NONE"
  api_key_required   = true
  request_parameters = { "method.request.querystring.limit" = true }
}
resource "aws_api_gateway_integration" "get" {
  rest_api_id       = aws_api_gateway_rest_api.pets.id
  resource_id       = aws_api_gateway_resource.pets.id
  http_method       = aws_api_gateway_method.get.http_method
  type              = "MOCK"
  request_templates = { "application/json" = jsonencode({ statusCode = 200 }) }
}
resource "aws_api_gateway_method_response" "ok" {
  rest_api_id         = aws_api_gateway_rest_api.pets.id
  resource_id         = aws_api_gateway_resource.pets.id
  http_method         = aws_api_gateway_method.get.http_method
  status_code         = "200"
  response_parameters = { "method.response.header.X-A" = true }
  response_models     = { "application/json" = aws_api_gateway_model.pet.name }
}
resource "aws_api_gateway_integration_response" "ok" {
  rest_api_id         = aws_api_gateway_rest_api.pets.id
  resource_id         = aws_api_gateway_resource.pets.id
  http_method         = aws_api_gateway_method.get.http_method
  status_code         = aws_api_gateway_method_response.ok.status_code
  response_parameters = { "method.response.header.X-A" = "'a'" }
  response_templates  = { "application/json" = jsonencode([var.description]) }
  depends_on          = [aws_api_gateway_integration.get]
}
resource "aws_api_gateway_deployment" "d" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  description = "First"
  triggers    = { redeployment = sha1(jsonencode([aws_api_gateway_integration.get.id, aws_api_gateway_integration_response.ok.response_templates])) }
  lifecycle { create_before_destroy = true }
  depends_on = [aws_api_gateway_integration_response.ok]
}
resource "aws_api_gateway_stage" "prod" {
  rest_api_id   = aws_api_gateway_rest_api.pets.id
  deployment_id = aws_api_gateway_deployment.d.id
  stage_name    = "prod"
  variables     = { a = var.description }
  tags          = { team = "web" }
}
resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = "*/*"
  settings {
    metrics_enabled        = true
    logging_level          = "INFO"
    throttling_burst_limit = var.limit
    throttling_rate_limit  = 100
  }
}
resource "aws_api_gateway_api_key" "k" {
  name = var.description
  tags = { a = "b" }
}
resource "aws_api_gateway_usage_plan" "gold" {
  name = "gold"
  api_stages {
    api_id = aws_api_gateway_rest_api.pets.id
    stage  = aws_api_gateway_stage.prod.stage_name
    throttle {
      path        = "/${var.path}/GET"
      burst_limit = 3
      rate_limit  = 2
    }
  }
  quota_settings {
    limit  = var.limit
    offset = 2
    period = "WEEK"
  }
  throttle_settings {
    burst_limit = 5
    rate_limit  = 10
  }
}
resource "aws_api_gateway_usage_plan_key" "k" {
  key_id        = aws_api_gateway_api_key.k.id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.gold.id
}
resource "aws_api_gateway_request_validator" "v" {
  name                  = "v"
  rest_api_id           = aws_api_gateway_rest_api.pets.id
  validate_request_body = true
}
resource "aws_api_gateway_client_certificate" "c" {
  description = "c"
}
resource "aws_api_gateway_account" "a" {}
data "aws_api_gateway_rest_api" "pets" {
  name       = "pets"
  depends_on = [aws_api_gateway_rest_api.pets]
}
resource "aws_api_gateway_rest_api" "a" {
  name = "second"
}
resource "aws_api_gateway_rest_api_policy" "p" {
  rest_api_id = aws_api_gateway_rest_api.a.id
  policy      = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "*" }] })
}
resource "aws_api_gateway_authorizer" "t" {
  name           = "t"
  rest_api_id    = aws_api_gateway_rest_api.a.id
  authorizer_uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:f/invocations"
}
resource "aws_api_gateway_gateway_response" "g" {
  rest_api_id         = aws_api_gateway_rest_api.a.id
  response_type       = "UNAUTHORIZED"
  status_code         = "401"
  response_templates  = { "application/json" = "{\"message\":$context.error.messageString}" }
  response_parameters = { "gatewayresponse.header.Authorization" = "'Basic'" }
}
resource "aws_api_gateway_documentation_part" "d" {
  location {
    type   = "METHOD"
    method = "GET"
    path   = "/"
  }
  properties  = "{\"description\":\"Example description\"}"
  rest_api_id = aws_api_gateway_rest_api.a.id
}
resource "aws_api_gateway_documentation_version" "v" {
  version     = "1"
  rest_api_id = aws_api_gateway_rest_api.a.id
  description = "first"
  depends_on  = [aws_api_gateway_documentation_part.d]
}
resource "aws_api_gateway_vpc_link" "l" {
  name        = "l"
  target_arns = ["arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/my/50dc6c495c0c9188"]
}
resource "aws_api_gateway_method" "m" {
  rest_api_id          = aws_api_gateway_rest_api.a.id
  resource_id          = aws_api_gateway_rest_api.a.root_resource_id
  http_method          = "POST"
  authorization        = "CUSTOM"
  authorizer_id        = aws_api_gateway_authorizer.t.id
  authorization_scopes = ["a/b"]
}
resource "aws_api_gateway_integration" "i" {
  rest_api_id             = aws_api_gateway_rest_api.a.id
  resource_id             = aws_api_gateway_rest_api.a.root_resource_id
  http_method             = aws_api_gateway_method.m.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "POST"
  uri                     = "https://example.com/{id}"
  connection_type         = "VPC_LINK"
  connection_id           = aws_api_gateway_vpc_link.l.id
  cache_key_parameters    = ["method.request.path.id"]
  timeout_milliseconds    = 5000
  tls_config { insecure_skip_verification = true }
}
data "aws_api_gateway_authorizers" "all" {
  rest_api_id = aws_api_gateway_rest_api.a.id
  depends_on  = [aws_api_gateway_authorizer.t]
}
data "aws_api_gateway_vpc_link" "l" {
  name = aws_api_gateway_vpc_link.l.name
}
data "aws_api_gateway_resource" "root" {
  rest_api_id = aws_api_gateway_rest_api.a.id
  path        = "/"
}
data "aws_caller_identity" "me" {}
data "aws_api_gateway_api_key" "k" {
  id = aws_api_gateway_api_key.k.id
}
output "api" { value = aws_api_gateway_rest_api.pets.id }
variable "certificate" {}
variable "private_key" {}
variable "truststore" {}
variable "tls" { default = "TLS_1_2" }
resource "aws_acm_certificate" "c" {
  certificate_body = var.certificate
  private_key      = var.private_key
  tags             = { team = "web" }
}
resource "aws_api_gateway_domain_name" "regional" {
  domain_name              = "api.example.com"
  regional_certificate_arn = aws_acm_certificate.c.arn
  security_policy          = var.tls
  endpoint_configuration { types = ["REGIONAL"] }
  tags = { team = "web" }
}
resource "aws_api_gateway_domain_name" "edge" {
  domain_name             = "edge.example.com"
  certificate_name        = "inline"
  certificate_body        = var.certificate
  certificate_private_key = var.private_key
}
resource "aws_api_gateway_domain_name" "mutual" {
  domain_name              = "mutual.example.com"
  regional_certificate_arn = aws_acm_certificate.c.arn
  endpoint_configuration { types = ["REGIONAL"] }
  mutual_tls_authentication { truststore_uri = var.truststore }
}
resource "aws_api_gateway_domain_name" "private" {
  domain_name     = "in.example.com"
  certificate_arn = aws_acm_certificate.c.arn
  security_policy = "TLS_1_2"
  endpoint_configuration { types = ["PRIVATE"] }
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = "*", Action = "execute-api:Invoke", Resource = "execute-api:/${var.path}" }] })
  tags   = { team = var.path }
}
resource "aws_api_gateway_domain_name" "namesake" {
  domain_name     = aws_api_gateway_domain_name.private.domain_name
  certificate_arn = aws_acm_certificate.c.arn
  endpoint_configuration { types = ["PRIVATE"] }
}
resource "aws_api_gateway_domain_name_access_association" "private" {
  domain_name_arn                = aws_api_gateway_domain_name.private.arn
  access_association_source      = "vpce-05de3f8f82740a748"
  access_association_source_type = "VPCE"
  tags                           = { team = var.path }
}
resource "aws_api_gateway_base_path_mapping" "private" {
  domain_name    = aws_api_gateway_domain_name.private.domain_name
  domain_name_id = aws_api_gateway_domain_name.private.domain_name_id
  api_id         = aws_api_gateway_rest_api.pets.id
  base_path      = var.path
}
data "aws_api_gateway_domain_name" "private" {
  domain_name    = aws_api_gateway_domain_name.private.domain_name
  domain_name_id = aws_api_gateway_domain_name.private.domain_name_id
}
output "private" { value = aws_api_gateway_domain_name.private.domain_name_id }
output "association" { value = aws_api_gateway_domain_name_access_association.private.arn }
resource "aws_api_gateway_base_path_mapping" "all" {
  domain_name = aws_api_gateway_domain_name.regional.domain_name
  api_id      = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
}
resource "aws_api_gateway_base_path_mapping" "path" {
  domain_name = aws_api_gateway_domain_name.edge.domain_name
  api_id      = aws_api_gateway_rest_api.pets.id
  base_path   = var.path
}
data "aws_api_gateway_domain_name" "regional" {
  domain_name = aws_api_gateway_domain_name.regional.domain_name
}
data "aws_acm_certificate" "c" {
  domain     = "*.example.com"
  key_types  = ["EC_prime256v1"]
  depends_on = [aws_acm_certificate.c]
}
resource "aws_api_gateway_rest_api" "put" {
  name = "put"
  lifecycle {
    ignore_changes = [description, name]
  }
}
resource "aws_api_gateway_rest_api_put" "put" {
  rest_api_id = aws_api_gateway_rest_api.put.id
  body = jsonencode({
    openapi = "3.0.1", info = { title = "put", version = "1" },
    paths = { "/${var.path}" = { get = { responses = { 200 = { description = "ok" } }, x-amazon-apigateway-integration = { type = "mock", requestTemplates = { "application/json" = "{\"statusCode\": 200}" } } } } }
  })
  fail_on_warnings = false # the provider asks for it
  triggers         = { path = var.path }
}
data "aws_api_gateway_authorizer" "t" {
  rest_api_id   = aws_api_gateway_rest_api.a.id
  authorizer_id = aws_api_gateway_authorizer.t.id
}
data "aws_api_gateway_api_keys" "all" {
  depends_on = [aws_api_gateway_api_key.k]
}
data "aws_api_gateway_export" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  export_type = "oas30"
}
data "aws_api_gateway_sdk" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  sdk_type    = "javascript"
}
