package sdk

import (
	"archive/zip"
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/model"
)

// Limits of one client. A Java class can hold no more operations.
const (
	MaxOperations = 4_000
	MaxBytes      = 64 << 20
	maxFields     = 400_000
)

// Language is one that clients are written in.
type Language struct {
	ID, Name string
	// Parameters are those of Options, by name, with what each is.
	Parameters []Parameter
	write      func(*client, *files) error
}

// Parameter is a choice that a language leaves to who asks for a client.
type Parameter struct {
	Name, Label, About string
	Required           bool
	Default            string
	Also               string // another name of it, which Amazon's service has for it in places
}

// Defaults are the language's parameters for who does not want to choose.
func (l Language) Defaults(api string) map[string]string {
	if l.ID != "java" {
		return nil
	}
	ws := words(api)
	name := cutTo(pascal(ws), 60)
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		name = "Api" + name
	}
	pkg := strings.ToLower(name)
	if javaWords[pkg] {
		pkg += "api"
	}
	return map[string]string{"serviceName": name, "javaPackageName": "client." + pkg}
}

// Languages are those that there are, in the order in which they are offered.
var Languages = []Language{
	{ID: "javascript", Name: "JavaScript", write: javaScript},
	{ID: "typescript", Name: "TypeScript", write: typeScript},
	{ID: "python", Name: "Python", write: python},
	{ID: "java", Name: "Java", Parameters: javaParameters, write: java},
	{ID: "go", Name: "Go", Parameters: goParameters, write: golang},
}

// ByID finds a language. An unknown one is refused with those that there are.
func ByID(id string) (Language, error) {
	for _, l := range Languages {
		if l.ID == id {
			return l, nil
		}
	}
	return Language{}, model.Errorf(model.Invalid, "clients are not generated for %.100q; there are %s", id, IDs())
}

// IDs lists the languages for a message.
func IDs() string {
	ids := make([]string, len(Languages))
	for i, l := range Languages {
		ids[i] = l.ID
	}
	return strings.Join(ids[:len(ids)-1], ", ") + " and " + ids[len(ids)-1]
}

// Options of one client.
type Options struct {
	Language string `json:"language"`
	BaseURL  string `json:"baseUrl"` // where the stage is called, without a slash at the end
	// Documentation takes the place of the definition's own parts where it is not nil.
	Documentation []model.DocumentationPart `json:"-"`
	Parameters    map[string]string         `json:"parameters,omitempty"`
}

// File is one of a client; its name has slashes.
type File struct {
	Name string `json:"name"`
	Body []byte `json:"body"`
}

// Client is a library in one language.
type Client struct {
	Folder string `json:"folder"` // what the library is called: letters, digits and dashes
	Files  []File `json:"files"`
}

// Generate writes the client of what is deployed.
func Generate(d *model.Definition, o Options) (Client, error) {
	l, err := ByID(o.Language)
	if err != nil {
		return Client{}, err
	}
	for _, p := range l.Parameters {
		if p.Required && o.Parameters[p.Name] == "" {
			return Client{}, model.Errorf(model.Invalid, "a client in %s needs the parameter %s: %s", l.Name, p.Name, p.About)
		}
	}
	c, err := read(d, o)
	if err != nil {
		return Client{}, err
	}
	f := &files{}
	if err := l.write(c, f); err != nil {
		return Client{}, err
	}
	if f.size > MaxBytes {
		return Client{}, model.Errorf(model.Limit, "the client would have more than %d MB; split the API, or leave out models it does not need", MaxBytes>>20)
	}
	return Client{Folder: c.slug + "-" + l.ID, Files: f.list}, nil
}

// Zip packs the client into one folder. The same client made at the same time has
// the same bytes.
func (c Client) Zip(made time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range c.Files {
		out, err := w.CreateHeader(&zip.FileHeader{Name: c.Folder + "/" + f.Name, Method: zip.Deflate, Modified: made.UTC()})
		if err != nil {
			return nil, err
		}
		if _, err := out.Write(f.Body); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

//go:embed runtime
var runtimes embed.FS

// shared is the part of a client that is the same for every API.
func shared(name string) string {
	b, err := runtimes.ReadFile("runtime/" + name)
	if err != nil { // it is built in
		panic(err)
	}
	return string(b)
}

// files are those of a client as they are written. Beyond MaxBytes nothing is kept.
type files struct {
	list []File
	size int
}

func (f *files) add(name string, w *writer) {
	f.size += w.Len()
	if f.size <= MaxBytes {
		f.list = append(f.list, File{name, bytes.Clone(w.Bytes())})
	}
}

func (f *files) text(name, body string) {
	w := &writer{}
	w.WriteString(body)
	f.add(name, w)
}

// writer is a file that is being written.
type writer struct{ bytes.Buffer }

// p writes a line. What comes from a definition has been through quote or lines.
func (w *writer) p(format string, a ...any) {
	if w.Len() > MaxBytes {
		return
	}
	fmt.Fprintf(w, format, a...)
	w.WriteByte('\n')
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
