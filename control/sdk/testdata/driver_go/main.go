package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	pets "petsxu000altd"
)

func main() {
	ctx := context.Background()
	client := &pets.Client{BaseURL: os.Args[1], APIKey: "key-1", BearerToken: "token-1", Header: http.Header{"X-Client": {"test"}}}
	status, err := client.Status(ctx)
	must(err)
	fmt.Println("status", string(status.Body))
	all, err := client.ListPets(ctx, pets.ListPetsInput{Tag: "a b&ü", Limit: "2", XTrace: "t1"})
	must(err)
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	fmt.Println("pets", len(all), strings.Join(names, ","))
	made, err := client.CreatePet(ctx, pets.CreatePetInput{Body: &pets.NewPet{
		Name: "Rex \U0001F436", PetKind: pets.Ptr(`a"b\c`), Class: pets.Ptr("mammal"), Notes: map[string]string{"a": "b"},
		Owner: &pets.NewPetOwner{Name: pets.Ptr("Ada"), Since: pets.Ptr(int64(9007199254740991))},
	}})
	must(err)
	fmt.Println("created", made.ID, made.Name, *made.Owner.Name, made.Next.Name, made.Extra["extra"])
	again, err := json.Marshal(made)
	must(err)
	if !strings.Contains(string(again), `"extra":"kept"`) || strings.Count(string(again), `"id":`) != 2 {
		panic(string(again))
	}
	got, err := client.GetPet(ctx, pets.GetPetInput{PetID: "7/8 ?#%"})
	must(err)
	fmt.Println("got", got.Name)
	_, err = client.GetPet(ctx, pets.GetPetInput{PetID: "missing"})
	var e *pets.APIError
	fmt.Println("error", errors.As(err, &e), e.Status, e.RequestID, e.Header.Get("X-Why"), e.Message)
	for _, id := range []string{"..", ""} {
		_, err = client.GetPet(ctx, pets.GetPetInput{PetID: id})
		fmt.Println("refused", err != nil && !errors.As(err, new(*pets.APIError)))
	}
	gone, err := client.DeletePetsByPetID(ctx, pets.DeletePetsByPetIDInput{PetID: "7"})
	must(err)
	fmt.Println("deleted", gone.Status == 204)
	photo, err := client.PutPhoto(ctx, pets.PutPhotoInput{PetID: "7", Body: []byte{255, 216}})
	must(err)
	fmt.Println("photo", string(photo.Body))
	file, err := client.GetFile(ctx, pets.GetFileInput{Path: "a/b c.txt"})
	must(err)
	fmt.Println("file", string(file.Body))
	_, err = client.GetFile(ctx, pets.GetFileInput{Path: "a/../b"})
	fmt.Println("refused", err != nil)
	res, err := client.AnyProxy(ctx, pets.AnyProxyInput{Method: "PUT", Body: map[string]any{"x": []int{1, 2}}})
	must(err)
	var said struct{ Verb string }
	must(json.Unmarshal(res.Body, &said))
	fmt.Println("any", said.Verb)
	quick := *client
	quick.Timeout = 2 * time.Second
	_, err = quick.Import(ctx)
	fmt.Println("timeout", errors.Is(err, context.DeadlineExceeded))
	_, err = client.Moved(ctx)
	errors.As(err, &e)
	fmt.Println("moved", e.Status, e.Header.Get("Location"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
