package lambda

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

// message is one of the event stream encoding.
func message(payload string, header ...string) []byte {
	var h []byte
	for i := 0; i+1 < len(header); i += 2 {
		h = append(append(h, byte(len(header[i]))), header[i]...)
		h = append(binary.BigEndian.AppendUint16(append(h, 7), uint16(len(header[i+1]))), header[i+1]...)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(h)+len(payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(h)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	b = append(append(b, h...), payload...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func chunk(s string) []byte {
	return message(s, ":message-type", "event", ":event-type", "PayloadChunk", ":content-type", "application/octet-stream")
}

func complete(s string) []byte {
	return message(s, ":message-type", "event", ":event-type", "InvokeComplete")
}

// read feeds a stream in pieces of a size.
func read(in []byte, size int) (string, error) {
	var s Stream
	var out []byte
	for len(in) > 0 {
		p := in[:min(size, len(in))]
		for len(p) > 0 {
			piece, used, err := s.Next(p)
			out = append(out, piece...)
			if err != nil {
				return string(out), err
			}
			p = p[used:]
			in = in[used:]
		}
	}
	return string(out), s.Close()
}

func TestStream(t *testing.T) {
	whole := bytes.Join([][]byte{chunk("hello "), chunk(""), message("?", ":message-type", "event", ":event-type", "New"), chunk("world"), complete("{}")}, nil)
	for size := 1; size < len(whole)+1; size++ {
		if out, err := read(whole, size); out != "hello world" || err != nil {
			t.Fatalf("in pieces of %d: %q %v", size, out, err)
		}
	}
	for name, in := range map[string][]byte{
		"function":  append(chunk("a"), complete(`{"ErrorCode": "Unhandled", "ErrorDetails": "x", "LogResult": null}`)...),
		"exception": message("{}", ":message-type", "exception", ":exception-type", "ServiceException"),
		"error":     message("", ":message-type", "error", ":error-code", "Internal"),
	} {
		if _, err := read(in, 7); !errors.Is(err, ErrFunction) {
			t.Errorf("%s: %v", name, err)
		}
	}
	flipped := chunk("hello")
	flipped[len(flipped)-6] ^= 1
	long := binary.BigEndian.AppendUint32(nil, maxMessage+1)
	long = binary.BigEndian.AppendUint32(long, 0)
	long = binary.BigEndian.AppendUint32(long, crc32.ChecksumIEEE(long))
	for name, in := range map[string][]byte{
		"cut": chunk("a"), "part": chunk("hello")[:20], "none": {}, "checksum": flipped, "prelude": []byte("HTTP/1.1 200 OK\r\n\r\n"), "long": long, "behind": append(complete(""), 'x'), "kind": message("", ":event-type", "PayloadChunk"),
		"header": message("", ":message-type"), "ending": complete("[]"), "bare": message("a"),
	} {
		if out, err := read(in, 5); err == nil {
			t.Errorf("%s: %q", name, out)
		}
	}
}

func TestPrelude(t *testing.T) {
	in := []byte(`{"statusCode": 201, "headers": {"Content-Type": "text/event-stream", "X-A": "b"}, "cookies": ["a=1"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00" + "body\x00\x00\x00\x00\x00\x00\x00\x00more")
	for size := 1; size <= len(in); size++ {
		var p Prelude
		var reply Reply
		var body []byte
		for rest := in; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			piece := rest[:min(size, len(rest))]
			if p.Done {
				body = append(body, piece...)
				continue
			}
			r, b, err := p.Next(piece)
			if err != nil {
				t.Fatal(err)
			}
			if p.Done {
				reply, body = r, append(body, b...)
			}
		}
		if string(body) != "body\x00\x00\x00\x00\x00\x00\x00\x00more" || reply.Status != 201 || lines(&reply) != "Content-Type: text/event-stream\r\nX-A: b\r\nSet-Cookie: a=1\r\n" {
			t.Fatalf("in pieces of %d: %q %+v", size, body, reply)
		}
	}
	for _, bad := range []string{strings.Repeat("x", MaxPrelude+100), `{"body": "x"}` + string(delimiter), `{"statusCode": "x"}` + string(delimiter), string(delimiter)} {
		var p Prelude
		if _, _, err := p.Next([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(append(chunk("{}"+string(delimiter)+"hello"), complete("{}")...), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		whole, err := read(in, len(in)+1)
		parts, err2 := read(in, int(size)+1)
		if whole != parts || (err == nil) != (err2 == nil) {
			t.Errorf("%q %v, and in pieces %q %v", whole, err, parts, err2)
		}
		var p Prelude
		_, _, _ = p.Next([]byte(whole))
	})
}
