# An API on Tollgate, made by the AWS provider: only the endpoints are others.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "endpoint" {
  description = "Address of Tollgate's console"
  default     = "http://localhost:8080"
}

variable "upstream" {
  description = "Back end that calls go to"
  default     = "https://httpbin.org"
}

# Credentials are an access key of yours: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
# (console: Access keys).
provider "aws" {
  region = "us-east-1"
  endpoints {
    apigateway = var.endpoint
    sts        = var.endpoint
    iam        = var.endpoint
    acm        = var.endpoint
  }
}

resource "aws_api_gateway_rest_api" "pets" {
  name = "pets"
}

resource "aws_api_gateway_resource" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  parent_id   = aws_api_gateway_rest_api.pets.root_resource_id
  path_part   = "pets"
}

resource "aws_api_gateway_method" "list" {
  rest_api_id      = aws_api_gateway_rest_api.pets.id
  resource_id      = aws_api_gateway_resource.pets.id
  http_method      = "GET"
  authorization    = "NONE"
  api_key_required = true
}

resource "aws_api_gateway_integration" "list" {
  rest_api_id             = aws_api_gateway_rest_api.pets.id
  resource_id             = aws_api_gateway_resource.pets.id
  http_method             = aws_api_gateway_method.list.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "GET"
  uri                     = "${var.upstream}/anything/pets"
}

resource "aws_api_gateway_deployment" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  # A changed file or variable is deployed.
  triggers = {
    definition = "${filesha1("${path.module}/main.tf")} ${var.upstream}"
  }
  depends_on = [aws_api_gateway_integration.list]
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "prod" {
  rest_api_id   = aws_api_gateway_rest_api.pets.id
  deployment_id = aws_api_gateway_deployment.pets.id
  stage_name    = "prod"
}

resource "aws_api_gateway_usage_plan" "gold" {
  name = "gold"
  api_stages {
    api_id = aws_api_gateway_rest_api.pets.id
    stage  = aws_api_gateway_stage.prod.stage_name
  }
  throttle_settings {
    rate_limit  = 10
    burst_limit = 20
  }
  quota_settings {
    limit  = 1000
    period = "MONTH"
  }
}

resource "aws_api_gateway_api_key" "partner" {
  name = "partner"
}

resource "aws_api_gateway_usage_plan_key" "partner" {
  usage_plan_id = aws_api_gateway_usage_plan.gold.id
  key_id        = aws_api_gateway_api_key.partner.id
  key_type      = "API_KEY"
}

# Ask it with: curl -H "x-api-key: $(terraform output -raw key)" http://localhost:8081/_aws/execute-api/API/prod/pets
output "api" {
  value = aws_api_gateway_rest_api.pets.id
}

output "key" {
  value     = aws_api_gateway_api_key.partner.value
  sensitive = true
}
