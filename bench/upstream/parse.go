package main

import "bytes"

// request is what has to be known of a request to answer it.
type request struct {
	size  int  // of the head
	body  int  // bytes that follow it
	head  bool // HEAD: the answer has no body
	post  bool
	close bool // the client wants the connection closed
	bad   bool // a body of unknown end, or a length that is none
}

var endOfHead = []byte("\r\n\r\n")

// parse reads the head at the start of buf; ok is false while it is not whole.
func parse(buf []byte) (r request, ok bool) {
	end := bytes.Index(buf, endOfHead)
	if end < 0 {
		return request{}, false
	}
	r.size = end + 4
	head := buf[:end+2]
	r.head = bytes.HasPrefix(head, []byte("HEAD "))
	r.post = bytes.HasPrefix(head, []byte("POST "))
	for {
		i := bytes.IndexByte(head, '\n')
		head = head[i+1:]
		if i < 0 || len(head) == 0 {
			return r, true
		}
		switch head[0] | 0x20 { // only these two letters begin a line that matters
		case 'c':
			if v, is := value(head, "content-length:"); is {
				r.body, is = number(v)
				r.bad = r.bad || !is
			} else if v, is := value(head, "connection:"); is {
				r.close = bytes.EqualFold(v, []byte("close"))
			}
		case 't':
			if _, is := value(head, "transfer-encoding:"); is {
				r.bad = true
			}
		}
	}
}

// value is the rest of the line that head starts with, if it is the named field.
func value(head []byte, name string) ([]byte, bool) {
	if len(head) < len(name) || !bytes.EqualFold(head[:len(name)], []byte(name)) {
		return nil, false
	}
	line, _, _ := bytes.Cut(head[len(name):], []byte("\r"))
	return bytes.TrimSpace(line), true
}

func number(v []byte) (int, bool) {
	if len(v) == 0 || len(v) > 12 {
		return 0, false
	}
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
