package journal

import (
	"os"
	"testing"
	"unsafe"

	"tollgate/model"
)

// Where calls come fast, the pages for as many more are there when they come, and hold
// nothing; where they come slowly, and behind a segment's end, there are none.
func TestPagesAhead(t *testing.T) {
	j := open(t, Options{SegmentBytes: headerSize + 1024*slotSize, Shards: 1, SyncEvery: never, SealEvery: never})
	s := j.shards[0]
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pagemap.Close() }()
	mapped := func() (n int) {
		page := os.Getpagesize()
		entries := make([]byte, (len(s.cur.mem)+page-1)/page*8)
		if _, err := pagemap.ReadAt(entries, int64(uintptr(unsafe.Pointer(&s.cur.mem[0])))/int64(page)*8); err != nil {
			t.Fatal(err)
		}
		for i := 7; i < len(entries); i += 8 {
			n += int(entries[i] >> 7) // the page is in this process's memory
		}
		return n
	}
	appendN(t, j, 10)
	before := mapped()
	if s.ahead(10); mapped() != before {
		t.Errorf("%d pages after ten calls, %d before", mapped(), before)
	}
	if s.ahead(512); mapped() < before+7 {
		t.Errorf("%d pages after 512 calls, %d before", mapped(), before)
	}
	s.ahead(1 << 40)
	for pos := s.pos; pos < s.cur.end(); pos++ {
		if !empty(s.cur.slot(pos)) {
			t.Fatalf("slot %d is not empty", pos)
		}
	}
	appendN(t, j, 3000) // through segments that are readied at their ends
	s.ahead(s.cur.end() - s.pos)
	n := 0
	if err := Scan(j.dir, func(_ model.BootID, _ Record) error { n++; return nil }); err != nil || n != 3010 {
		t.Errorf("%d records, %v", n, err)
	}
	if err := s.cur.release(); err != nil {
		t.Fatal(err)
	}
	s.ahead(64) // of a segment that is gone: nothing
}
