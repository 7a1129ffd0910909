package serve

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// fileTime is how long a client may take to read a file.
const fileTime = 5 * time.Minute

// File answers with a file to keep. What goes wrong before its first byte is
// returned, for an error's page; after it, the answer breaks off, so that half a
// file is not taken for a whole one.
func File(w http.ResponseWriter, r *http.Request, log *slog.Logger, kind, name string, write func(io.Writer) error) error {
	f := &file{ResponseWriter: w, kind: kind, name: name}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(fileTime))
	err := write(f)
	if err == nil && !f.begun {
		_, err = f.Write(nil)
	}
	if err != nil && f.begun {
		if r.Context().Err() == nil {
			log.Error("a file broke off", "path", r.URL.Path, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return err
}

// file is one on its way.
type file struct {
	http.ResponseWriter
	kind, name string
	begun      bool
}

func (f *file) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.Header().Set("Content-Type", f.kind)
		f.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
		f.WriteHeader(http.StatusOK)
	}
	return f.ResponseWriter.Write(b)
}
