package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"tollgate/model"
)

// awsFile is a configuration file of the AWS CLI: options by section. Option names
// are in lower case; a value that goes on in indented lines holds line ends.
type awsFile struct {
	path     string
	sections map[string]map[string]string
}

// maxAWSFile bounds a file of profiles.
const maxAWSFile = 1 << 20

// readAWSFile reads the file that a variable names, or the one under ~/.aws. A file
// that is not there is an empty one.
func readAWSFile(getenv func(string) string, variable, name string) (*awsFile, error) {
	path := getenv(variable)
	if path == "" {
		home := getenv("HOME")
		if home == "" {
			return &awsFile{path: "~/.aws/" + name}, nil
		}
		path = filepath.Join(home, ".aws", name)
	} else if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(getenv("HOME"), rest)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return &awsFile{path: path}, nil
	}
	b, err := readFile(path, maxAWSFile)
	if err != nil {
		return nil, err
	}
	return parseAWSFile(path, string(b))
}

// parseAWSFile reads a file as the AWS CLI does, which takes what is wrong in it for an
// error, in whatever section.
func parseAWSFile(path, text string) (*awsFile, error) {
	f := &awsFile{path, map[string]map[string]string{}}
	var section map[string]string
	option, indent := "", 0 // the one that lines may go on with, and how far it is indented
	wrong := func(line int, format string, a ...any) error {
		return model.Errorf(model.Invalid, "%s:%d: %s", path, line+1, model.MessageOf(model.Errorf(model.Invalid, format, a...)))
	}
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		in := len(line) - len(strings.TrimLeft(line, " \t"))
		if option != "" && in > indent {
			section[option] += "\n" + trimmed
			continue
		}
		indent = in
		if trimmed[0] == '[' {
			end := strings.LastIndexByte(trimmed, ']')
			if end < 2 {
				return nil, wrong(i, "a section's name ends with ]")
			}
			name := sectionName(trimmed[1:end])
			if f.sections[name] != nil {
				return nil, wrong(i, "there is a section [%.60s] already", name)
			}
			section, option = map[string]string{}, ""
			f.sections[name] = section
			continue
		}
		at := strings.IndexAny(trimmed, "=:")
		switch {
		case section == nil:
			return nil, wrong(i, "this is in no section: a [profile name] or [default] comes first")
		case at < 1:
			return nil, wrong(i, "this is not an option such as region = us-east-1")
		}
		option = strings.ToLower(strings.TrimSpace(trimmed[:at]))
		if _, ok := section[option]; ok {
			return nil, wrong(i, "%.60s is there already", option)
		}
		section[option] = strings.TrimSpace(trimmed[at+1:])
	}
	return f, nil
}

// sectionName is a section's name without the quotes that names with blanks have.
func sectionName(s string) string {
	kind, name, two := strings.Cut(strings.TrimSpace(s), " ")
	if name = strings.TrimSpace(name); !two {
		return kind
	}
	if q := name[0]; len(name) > 1 && (q == '"' || q == '\'') && name[len(name)-1] == q {
		name = name[1 : len(name)-1]
	}
	return kind + " " + name
}

// profile is a section of the config file, where names but the default one have a
// word before them; nil: there is none.
func (f *awsFile) profile(name string) map[string]string {
	if s := f.sections["profile "+name]; s != nil || name != "default" {
		return s
	}
	return f.sections[name]
}

// nested is an option of a value that is itself a list of options.
func nested(value, option string) string {
	if !strings.HasPrefix(value, "\n") {
		return ""
	}
	for line := range strings.Lines(value) {
		if name, v, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == option {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
