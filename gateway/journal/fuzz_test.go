package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tollgate/model"
)

// FuzzRecover changes a boot's segment and ledger at will: reading them back never
// panics, and every record it yields is one that was appended.
func FuzzRecover(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	live := open(f, Options{
		Dir: f.TempDir(), Boot: newBoot(now), SealEvery: never, SyncEvery: never, Shards: 1, SegmentBytes: minSegment,
		Now: func() time.Time { return now },
	})
	appended := map[string]bool{}
	for i := range uint32(20) {
		r := sample(now)
		r.Method, r.Kind = i, Call
		id := live.Begin(0)
		if err := live.Append(id, &r); err != nil {
			f.Fatal(err)
		}
		r.Call = id.Number()
		appended[fmt.Sprint(r)] = true
		if i == 9 {
			if err := live.sealer.seal(false); err != nil {
				f.Fatal(err)
			}
		}
	}
	boot := live.Boot()
	read := func(name string) []byte {
		p, err := os.ReadFile(filepath.Join(live.bootDir, name))
		if err != nil {
			f.Fatal(err)
		}
		return p
	}
	segment, book := read(segmentName(0, 0)), read(ledgerName)
	f.Add(segment, book, uint16(0), byte(0))
	f.Add(segment[:headerSize+100], book[:len(book)/2], uint16(70), byte(1))
	f.Add([]byte{}, []byte(ledgerMagic), uint16(headerSize+64), byte(0x80))
	f.Add(segment[headerSize:], append(book, book...), uint16(24), byte(0xff))
	f.Fuzz(func(t *testing.T, segment, book []byte, at uint16, with byte) {
		if len(segment) > 1<<16 || len(book) > 1<<16 {
			return
		}
		if int(at) < len(segment) {
			segment = append([]byte(nil), segment...)
			segment[at] ^= with
		}
		dir := t.TempDir()
		in := filepath.Join(dir, boot.String())
		if err := os.Mkdir(in, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, p := range map[string][]byte{segmentName(0, 0): segment, ledgerName: book} {
			if err := os.WriteFile(filepath.Join(in, name), p, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		whole := uint64(0)
		err := Scan(dir, func(b model.BootID, r Record) error {
			if b != boot || !appended[fmt.Sprint(r)] {
				t.Errorf("a record that was never appended: %+v", r)
			}
			whole++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l := &ledger{dir: in, boot: boot}
		l.replay(book)
		if l.ackedSeq > l.sealedSeq {
			t.Errorf("acknowledged up to %d, sealed up to %d", l.ackedSeq, l.sealedSeq)
		}
		w, err := readBoot(in, boot, l.ends)
		if err != nil {
			t.Fatal(err)
		}
		calls := uint64(0)
		for _, line := range w.tally.sorted() {
			calls += line.Calls
		}
		if calls != w.records || calls > whole {
			t.Errorf("%d calls, %d records, of %d whole ones", calls, w.records, whole)
		}
	})
}
