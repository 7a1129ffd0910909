package spans

import (
	"encoding/binary"
	"strconv"
	"sync/atomic"

	"tollgate/model"
)

// Sampler decides, before anything is written down, which calls have spans.
type Sampler struct {
	byParent bool   // a decision that came with the call holds
	below    uint64 // of 1<<63: trace ids whose last 63 bits are below it are sampled
	reserve  bool   // and besides, the first call of each second of every stage
}

// Reserve is of a stage: the second whose first call was sampled.
type Reserve struct{ second atomic.Int64 }

const whole = 1 << 63

// defaultShare is X-Ray's rule where nothing was set: the first call of each second, and
// 5 % of all others.
const defaultShare = 0.05

// ParseSampler reads a sampler as OpenTelemetry's OTEL_TRACES_SAMPLER and
// OTEL_TRACES_SAMPLER_ARG name it. Without a name it is X-Ray's default, below the
// decision of whoever began the trace.
func ParseSampler(name, arg string) (Sampler, error) {
	share := 1.0
	if name == "" {
		share = defaultShare
	}
	if arg != "" {
		var err error
		if share, err = strconv.ParseFloat(arg, 64); err != nil || !(share >= 0 && share <= 1) {
			return Sampler{}, model.Errorf(model.Invalid, "OTEL_TRACES_SAMPLER_ARG %.40q is not a share between 0 and 1", arg)
		}
	}
	ratio := uint64(share * whole)
	switch name {
	case "":
		return Sampler{byParent: true, below: ratio, reserve: true}, nil
	case "always_on":
		return Sampler{below: whole}, nil
	case "always_off":
		return Sampler{}, nil
	case "traceidratio":
		return Sampler{below: ratio}, nil
	case "parentbased_always_on":
		return Sampler{byParent: true, below: whole}, nil
	case "parentbased_always_off":
		return Sampler{byParent: true}, nil
	case "parentbased_traceidratio":
		return Sampler{byParent: true, below: ratio}, nil
	}
	return Sampler{}, model.Errorf(model.Invalid, "OTEL_TRACES_SAMPLER %.40q is not one of always_on, always_off and traceidratio, with parentbased_ before it or without", name)
}

// Sample says whether a call is sampled. now is in nanoseconds of any clock.
func (s *Sampler) Sample(c *Context, r *Reserve, now int64) bool {
	if s.byParent && c.Decided {
		return c.Sampled
	}
	if s.reserve {
		second := now/1e9 + 1 // 0: none was
		if was := r.second.Load(); was != second && r.second.CompareAndSwap(was, second) {
			return true
		}
	}
	return binary.BigEndian.Uint64(c.Trace[8:])>>1 < s.below
}
