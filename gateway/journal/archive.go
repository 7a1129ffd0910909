package journal

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// archive holds the acknowledged segments, which only audits still want, oldest first.
type archive struct {
	keep int64
	log  *slog.Logger

	mu    sync.Mutex
	files []archived
	size  int64
	done  map[string]bool // directories of boots that are closed and wholly acknowledged
}

type archived struct {
	path string
	size int64
}

func (a *archive) add(path string, size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files = append(a.files, archived{path, size})
	a.size += size
}

// prune deletes the oldest files beyond what is to be kept.
func (a *archive) prune() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.files) > 0 && a.size > a.keep {
		f := a.files[0]
		if err := os.Remove(f.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			a.log.Warn("journal: acknowledged segment not deleted", "segment", f.path, "error", err)
			return
		}
		a.files = a.files[1:]
		a.size -= f.size
		a.removeBoot(filepath.Dir(f.path))
	}
}

// finish takes over the directory of a boot of which everything is acknowledged.
func (a *archive) finish(dir string) {
	left, err := segmentFiles(dir)
	if err != nil {
		a.log.Warn("journal: closed boot not tidied", "dir", dir, "error", err)
		return
	}
	a.mu.Lock()
	a.done[dir] = true
	known := map[string]bool{}
	for _, f := range a.files {
		known[f.path] = true
	}
	for _, f := range left {
		if !known[f.path] {
			a.files = append(a.files, archived{f.path, f.size})
			a.size += f.size
		}
	}
	a.removeBoot(dir)
	a.mu.Unlock()
	a.prune()
}

// removeBoot deletes a finished boot's directory once no segment is left in it.
// The ledger goes last: without it the segments would count as never sealed.
func (a *archive) removeBoot(dir string) {
	if !a.done[dir] {
		return
	}
	left, err := segmentFiles(dir)
	if err != nil || len(left) > 0 {
		return
	}
	if err := errors.Join(syncDir(dir), os.RemoveAll(dir)); err != nil {
		a.log.Warn("journal: directory of a closed boot not deleted", "dir", dir, "error", err)
		return
	}
	delete(a.done, dir)
}
