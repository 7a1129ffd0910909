package intake

import (
	"context"
	"encoding/binary"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"tollgate/model"
)

// generations are those that tenants' months have reached; of months that were never cut
// there is none, and it is 0.
type generations map[ofMonth]int32

type ofMonth struct {
	tenant uint32
	month  int64 // its begin in UTC, unix seconds
}

func collectGenerations(rows pgx.Rows) (generations, error) {
	out := generations{}
	var tenant, gen int32
	var begin time.Time
	_, err := pgx.ForEachRow(rows, []any{&tenant, &begin, &gen}, func() error {
		out[ofMonth{uint32(tenant), begin.Unix()}] = gen
		return nil
	})
	return out, err
}

// of is the generation of a line: what comes after a month was cut for a bill is told
// from what was in it.
func (g generations) of(l *model.UsageLine) int32 {
	if len(g) == 0 {
		return 0
	}
	return g[ofMonth{l.Tenant, month(hourOf(l)).from.Unix()}]
}

// copyLines goes by usage_intake, as COPY is refused on tables with row-level security.
const copyLines = `copy usage_intake (tenant_id, hour, stage_num, method_num, subscription_id, key_num, terms, status, flags, gen,
	calls, bytes_in, bytes_out, micros, boot, seq) from stdin (format binary)`

// appendLines appends a batch's lines.
func appendLines(ctx context.Context, tx pgx.Tx, b *model.Batch, gens generations) error {
	if len(b.Lines) == 0 {
		return nil
	}
	_, err := tx.Conn().PgConn().CopyFrom(ctx, newLineReader(b, gens), copyLines)
	return err
}

// lineReader is a batch's lines in the binary form of COPY, made as they are read.
type lineReader struct {
	batch *model.Batch
	gens  generations
	next  int    // line
	row   []byte // the last one made
	rest  []byte // made and not read yet
	ended bool
}

const (
	copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // signature, no flags, no extension
	copyEnd    = "\xff\xff"                                                       // a row of -1 columns
)

func newLineReader(b *model.Batch, gens generations) *lineReader {
	return &lineReader{batch: b, gens: gens, rest: []byte(copyHeader)}
}

func (r *lineReader) Read(p []byte) (n int, err error) {
	for {
		m := copy(p[n:], r.rest)
		n, r.rest = n+m, r.rest[m:]
		switch {
		case n == len(p), r.ended && n > 0:
			return n, nil
		case r.ended:
			return 0, io.EOF
		case r.next == len(r.batch.Lines):
			r.rest, r.ended = []byte(copyEnd), true
		default:
			l := &r.batch.Lines[r.next]
			r.row = appendRow(r.row[:0], r.batch, l, r.gens.of(l))
			r.rest, r.next = r.row, r.next+1
		}
	}
}

// appendRow appends the columns of copyLines, each with its length before it.
func appendRow(row []byte, b *model.Batch, l *model.UsageLine, gen int32) []byte {
	be := binary.BigEndian
	int4 := func(v uint32) { row = be.AppendUint32(be.AppendUint32(row, 4), v) }
	int8 := func(v uint64) { row = be.AppendUint64(be.AppendUint32(row, 8), v) }
	row = be.AppendUint16(row, 16)
	int4(l.Tenant)
	int8(uint64(l.Hour-firstHour) * 3600e6) // Postgres counts microseconds from 2000 on
	int4(l.Stage)
	int4(l.Method)
	int8(l.Subscription)
	int4(l.Key)
	int4(l.Terms)
	int4(uint32(l.Status))
	int4(uint32(l.Flags))
	int4(uint32(gen))
	int8(l.Calls)
	int8(l.BytesIn)
	int8(l.BytesOut)
	int8(l.Micros)
	row = append(be.AppendUint32(row, uint32(len(b.Boot))), b.Boot[:]...)
	int8(b.Seq)
	return row
}
