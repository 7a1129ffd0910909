package accesslog

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// Files are rotated at fileBytes; fileKeep earlier ones are kept, as NAME.log.1 and so on.
const (
	fileBytes = 64 << 20
	fileKeep  = 3
)

// file is one of an account's logs. It is opened when there is something to write, and
// closed again: there may be many, and the operator may take them away at any time.
type file struct {
	path string
	most int64
}

// newFile is that of a log group. Its name stays below the account's directory, whatever
// is in it: slashes are escaped.
func newFile(dir, account, name string) *file {
	return &file{filepath.Join(dir, url.PathEscape(account), url.PathEscape(name)+".log"), fileBytes}
}

func (f *file) append(lines []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if s, err := os.Stat(f.path); err == nil && s.Size() > 0 && s.Size()+int64(len(lines)) > f.most {
		f.rotate()
	}
	w, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if _, err := w.Write(lines); err != nil {
		_ = w.Close()
		return err
	}
	return w.Close()
}

func (f *file) rotate() {
	for n := fileKeep - 1; n > 0; n-- {
		_ = os.Rename(f.path+"."+strconv.Itoa(n), f.path+"."+strconv.Itoa(n+1))
	}
	_ = os.Rename(f.path, f.path+".1")
}
