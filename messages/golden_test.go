package messages_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/pmmc-go/pmmc/messages"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/golden.txt")

const golden = "testdata/golden.txt"

var files = []protoreflect.FileDescriptor{
	messages.File_messages_paxos_proto, messages.File_messages_pragmatics_proto,
	messages.File_messages_storage_proto, messages.File_messages_trace_proto,
	messages.File_messages_herald_proto,
}

// TestGoldenBytes shows that what was sent and written by earlier versions is still
// read: a message, each field of it set, has the bytes that it had. A new field adds
// to a line; no byte of a line may change.
func TestGoldenBytes(t *testing.T) {
	var got bytes.Buffer
	for _, f := range files {
		for i := range f.Messages().Len() {
			m := filled(t, f.Messages().Get(i), 3)
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			back := m.Type().New().Interface()
			if err := proto.Unmarshal(b, back); err != nil || !proto.Equal(back, m.Interface()) {
				t.Errorf("%s is not read as it was written: %v", m.Descriptor().Name(), err)
			}
			fmt.Fprintf(&got, "%s %x\n", m.Descriptor().Name(), b)
		}
	}
	if *rewrite {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the bytes of messages changed; if only fields were added, run go test ./messages -rewrite\ngot:\n%s", got.String())
	}
}

// filled sets each field to a value that its number says; of a oneof, the last stays.
func filled(t *testing.T, d protoreflect.MessageDescriptor, depth int) protoreflect.Message {
	t.Helper()
	if d.FullName() == "google.protobuf.Any" {
		any, err := anypb.New(&messages.Tick{Generation: 1})
		if err != nil {
			t.Fatal(err)
		}
		return any.ProtoReflect()
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	m := kind.New()
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.IsMap():
			value := scalar(f.MapValue())
			m.Mutable(f).Map().Set(scalar(f.MapKey()).MapKey(), value)
		case f.Message() != nil && depth == 0:
		case f.IsList() && f.Message() != nil:
			m.Mutable(f).List().Append(protoreflect.ValueOfMessage(filled(t, f.Message(), depth-1)))
		case f.IsList():
			m.Mutable(f).List().Append(scalar(f))
		case f.Message() != nil:
			m.Set(f, protoreflect.ValueOfMessage(filled(t, f.Message(), depth-1)))
		default:
			m.Set(f, scalar(f))
		}
	}
	return m
}

func scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	n := f.Number()
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(100 + n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(1000 + n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(fmt.Append(nil, "bytes", n))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprint("text", n))
	}
	panic(fmt.Sprintf("%s is of kind %v, for which this test has no value", f.FullName(), f.Kind()))
}
