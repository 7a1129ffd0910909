// Package journal is a node's append-only record of every call it answered: the
// one source that usage, quota reports and invoices are computed from.
//
// A call is one 64-byte record in a preallocated, memory-mapped segment, written
// before the answer's last byte is handed to the kernel, so that it outlives a
// kill -9 without any fsync; a background fdatasync bounds what a power cut can
// take. Each second the records since the last cut are summed into a batch named
// (boot, sequence), whose bytes are on disk before it travels and never change
// afterwards: delivered twice, it is recognised; delivered late, it still counts.
//
// It must never drop a record it accepted, give a batch name to two contents,
// delete a record whose batch is not acknowledged, or block a call on anything
// but the disk having no room left. It knows no SQL and no network: handing a
// batch in is a function it is given.
package journal
