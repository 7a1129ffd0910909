// The program makes calls with the AWS SDK for Go: one in JSON a line on standard
// input, its answer in JSON a line on standard output. It is a module of its own: the
// product does not depend on the SDK.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/smithy-go"
)

type call struct {
	Op, Service string
	In          map[string]any
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Typed   bool   `json:"typed"`
}

type answer struct {
	Out    any      `json:"out,omitempty"`
	Error  *failure `json:"error,omitempty"`
	Broken string   `json:"broken,omitempty"`
}

func main() {
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play() error {
	config := aws.Config{Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")}
	clients := map[string]reflect.Value{
		"":   reflect.ValueOf(apigateway.NewFromConfig(config, func(o *apigateway.Options) { o.BaseEndpoint = &os.Args[1] })),
		"v2": reflect.ValueOf(apigatewayv2.NewFromConfig(config, func(o *apigatewayv2.Options) { o.BaseEndpoint = &os.Args[1] })),
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		b, err := json.Marshal(do(clients[c.Service], c))
		if err != nil {
			return err
		}
		fmt.Println(string(b))
	}
	return lines.Err()
}

func do(client reflect.Value, c call) answer {
	method := client.MethodByName(c.Op)
	if !method.IsValid() {
		return answer{Broken: "the SDK has no operation " + c.Op}
	}
	for name, v := range c.In {
		if b, ok := v.(map[string]any); ok && b["$bytes"] != nil {
			c.In[name] = []byte(b["$bytes"].(string))
		}
	}
	body, err := json.Marshal(c.In)
	if err != nil {
		return answer{Broken: err.Error()}
	}
	in := reflect.New(method.Type().In(1).Elem())
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(in.Interface()); err != nil {
		return answer{Broken: err.Error()}
	}
	result := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if err, _ := result[1].Interface().(error); err != nil {
		api, ok := errors.AsType[smithy.APIError](err)
		if !ok {
			return answer{Broken: err.Error()}
		}
		_, generic := errors.AsType[*smithy.GenericAPIError](err)
		return answer{Error: &failure{api.ErrorCode(), api.ErrorMessage(), !generic}}
	}
	return answer{Out: fields(result[0].Elem())}
}

// fields are an answer's, by name: bytes are text.
func fields(v reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if !v.Type().Field(i).IsExported() || name == "ResultMetadata" {
			continue
		}
		if b, ok := f.Interface().([]byte); ok {
			out[name] = string(b)
		} else {
			out[name] = f.Interface()
		}
	}
	return out
}
