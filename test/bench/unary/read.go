package unary

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/url"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// reader is what the goroutine that reads knows besides.
type reader struct {
	*conn
	decoder *hpack.Decoder
	call    *call // whose headers are being read; one that nobody waits for, too
	ends    bool  // the call, with its headers
}

// read handles what the server sends until the connection ends.
func (c *conn) read() {
	r := &reader{conn: c}
	r.decoder = hpack.NewDecoder(4096, r.header)
	for {
		f, err := c.framer.ReadFrame()
		if err == nil {
			c.mu.Lock()
			err = r.handle(f)
			c.mu.Unlock()
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// handle handles a frame; the lock is held.
func (r *reader) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		if r.call = r.calls[f.StreamID]; r.call == nil {
			r.call = &call{}
		}
		r.ends = f.StreamEnded()
		return r.headersOf(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.ContinuationFrame:
		return r.headersOf(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.DataFrame:
		return r.data(f)
	case *http2.RSTStreamFrame:
		if call := r.calls[f.StreamID]; call != nil {
			r.end(call, status.Errorf(codes.Unavailable, "the server ended the call: %v", f.ErrCode))
		}
	case *http2.SettingsFrame:
		return r.settings(f)
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			r.window += int64(f.Increment)
		} else if call := r.calls[f.StreamID]; call != nil {
			call.window += int64(f.Increment)
		}
		r.changed.Broadcast()
	case *http2.PingFrame:
		if !f.IsAck() {
			r.changed.Broadcast()
			return r.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		r.leaving = true
		for id, call := range r.calls {
			if id > f.LastStreamID {
				r.end(call, status.Errorf(codes.Unavailable, "the server ends the connection: %v", f.ErrCode))
			}
		}
	}
	return nil
}

// header is told each header of r.call.
func (r *reader) header(h hpack.HeaderField) {
	switch h.Name {
	case "grpc-status":
		code, err := strconv.ParseUint(h.Value, 10, 32)
		if err != nil {
			code = uint64(codes.Unknown)
		}
		r.call.code = codes.Code(code)
	case "grpc-message":
		text, err := url.PathUnescape(h.Value)
		if err != nil {
			text = h.Value
		}
		r.call.text = text
	}
}

func (r *reader) headersOf(fragment []byte, last bool) error {
	if _, err := r.decoder.Write(fragment); err != nil || !last {
		return err
	}
	if r.ends {
		r.finish(r.call)
	}
	return r.decoder.Close()
}

// finish ends a call that has all of its answer.
func (r *reader) finish(call *call) {
	if call.code != codes.OK {
		r.end(call, status.Error(call.code, call.text))
		return
	}
	r.end(call, nil)
}

func (r *reader) data(f *http2.DataFrame) error {
	if r.unread += int(f.Length); r.unread > window/4 {
		if err := r.framer.WriteWindowUpdate(0, uint32(r.unread)); err != nil {
			return err
		}
		r.unread = 0
		r.changed.Broadcast()
	}
	if call := r.calls[f.StreamID]; call != nil {
		call.body = append(call.body, f.Data()...)
		if f.StreamEnded() {
			r.finish(call)
		}
	}
	return nil
}

// settings does what the server wants.
func (r *reader) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	r.changed.Broadcast()
	if n, ok := f.Value(http2.SettingInitialWindowSize); ok {
		for _, call := range r.calls {
			call.window += int64(n) - r.callWindow
		}
		r.callWindow = int64(n)
	}
	if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
		r.maxCalls = n
	} else if r.maxCalls == 0 {
		r.maxCalls = math.MaxInt32
	}
	if n, ok := f.Value(http2.SettingMaxFrameSize); ok {
		r.maxFrame = int(n)
	}
	if n, ok := f.Value(http2.SettingHeaderTableSize); ok {
		r.encoder.SetMaxDynamicTableSizeLimit(n)
	}
	return r.framer.WriteSettingsAck()
}

// decode reads the answer.
func (c *call) decode(reply proto.Message) error {
	if len(c.body) < prefix || c.body[0] != 0 || int(binary.BigEndian.Uint32(c.body[1:])) != len(c.body)-prefix {
		return status.Error(codes.Internal, fmt.Sprintf("an answer of %d bytes is not a message", len(c.body)))
	}
	if err := proto.Unmarshal(c.body[prefix:], reply); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}
