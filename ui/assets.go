package ui

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.977 generate

//go:embed assets
var embedded embed.FS

type asset struct {
	plain, zipped []byte
	kind          string
}

var (
	assets   = map[string]asset{}  // by name with hash and without
	assetURL = map[string]string{} // by name without hash
)

func init() {
	entries, err := embedded.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	// Fonts come first: the stylesheet names them by their content too.
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int {
		return cmp.Compare(path.Ext(b.Name()), path.Ext(a.Name()))
	})
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8", ".svg": "image/svg+xml"}
	for _, e := range entries {
		b, err := embedded.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		ext := path.Ext(e.Name())
		if ext == ".css" {
			for name, url := range assetURL {
				b = bytes.ReplaceAll(b, []byte(name), []byte(path.Base(url)))
			}
		}
		a := asset{plain: b, kind: kinds[ext]}
		if ext != ".woff2" {
			a.zipped = zip(b)
		}
		sum := sha256.Sum256(b)
		hashed := fmt.Sprintf("%s.%s%s", strings.TrimSuffix(e.Name(), ext), hex.EncodeToString(sum[:6]), ext)
		assets[e.Name()], assets[hashed] = a, a
		assetURL[e.Name()] = "/assets/" + hashed
	}
}

func zip(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// Asset is the URL of an asset: it changes with the content, so that browsers
// may keep it for ever.
func Asset(name string) string {
	u, ok := assetURL[name]
	if !ok {
		panic("ui: no asset " + name)
	}
	return u
}

// Assets serves /assets/.
func Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/assets/")
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "public, max-age=86400")
		if _, plain := assetURL[name]; !plain { // named by its content
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		body := a.plain
		if a.zipped != nil {
			h.Set("Vary", "Accept-Encoding")
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				h.Set("Content-Encoding", "gzip")
				body = a.zipped
			}
		}
		h.Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
	})
}
