package intake

import (
	"context"
	"math"

	"tollgate/model"
)

// Bounds of one line: far beyond what a node can do in an hour, and so low that
// no sum over a batch overflows.
const (
	mostCalls   = 1 << 40
	mostMeasure = 1 << 60
	firstHour   = 262_968   // 2000-01-01
	lastHour    = 1_139_544 // 2100-01-01
)

// check refuses a batch that no journal of ours could have made.
func check(b *model.Batch) error {
	if b.Seq == 0 || b.Seq > math.MaxInt64 {
		return model.Errorf(model.Invalid, "batch number %d is not between 1 and %d", b.Seq, int64(math.MaxInt64))
	}
	if !plausible(b.Watermark) || len(b.Lines) > 0 && (!plausible(b.First) || !plausible(b.Last) || b.First > b.Last) {
		return model.Errorf(model.Invalid, "batch %s/%d has impossible times", b.Boot, b.Seq)
	}
	for i := range b.Lines {
		l := &b.Lines[i]
		switch {
		case l.Hour < firstHour || l.Hour >= lastHour:
			return model.Errorf(model.Invalid, "line %d of batch %s/%d is of an impossible hour, %d", i, b.Boot, b.Seq, l.Hour)
		case l.Tenant > math.MaxInt32 || l.Stage > math.MaxInt32 || l.Method > math.MaxInt32 || l.Key > math.MaxInt32 ||
			l.Terms > math.MaxInt32 || l.Subscription > math.MaxInt64:
			return model.Errorf(model.Invalid, "line %d of batch %s/%d names a number that was never given out", i, b.Boot, b.Seq)
		case l.Calls == 0 || l.Calls > mostCalls || l.BytesIn > mostMeasure || l.BytesOut > mostMeasure || l.Micros > mostMeasure:
			return model.Errorf(model.Invalid, "line %d of batch %s/%d has impossible sums", i, b.Boot, b.Seq)
		}
	}
	return nil
}

// Plausible reports that a line's sums and its hour are some that can be.
func Plausible(l *model.UsageLine) bool {
	return l.Hour >= firstHour && l.Hour < lastHour && l.Calls <= mostCalls && l.BytesOut <= mostMeasure
}

func plausible(micros int64) bool {
	return micros >= firstHour*3600e6 && micros < lastHour*3600e6
}

// mostQuarantined bounds what one gateway's nodes can make us keep; a node keeps
// its own copy of what was refused.
const mostQuarantined = 1000

// refuse keeps a batch that cannot be taken and returns why. If it cannot be kept
// now, the node is told to come again.
func (in *Intake) refuse(ctx context.Context, gateway int32, b *model.Batch, encoded []byte, why error) error {
	var boot *[16]byte
	var seq *int64
	if b != nil {
		id, n := [16]byte(b.Boot), int64(b.Seq)
		boot, seq = &id, &n
	}
	hash := model.BatchHash(encoded)
	tag, err := in.pool.Exec(ctx, `
		insert into usage_quarantine (hash, gateway_id, boot, seq, reason, encoded)
		select $1, $2, $3, $4, $5, $6
		where (select count(*) from usage_quarantine where gateway_id = $2) < $7
		on conflict do nothing`, hash[:], gateway, boot, seq, why.Error(), encoded, mostQuarantined)
	if err != nil {
		return err
	}
	in.log.Error("a usage batch was refused and is not billed", "gateway", gateway, "why", why,
		"bytes", len(encoded), "new_in_quarantine", tag.RowsAffected() == 1)
	return why
}
