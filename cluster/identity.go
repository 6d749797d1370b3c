package cluster

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pmmc-go/pmmc/messages"
)

// identityFile holds, in a data directory, whose it is (S11).
const identityFile = "identity.json"

// An IdentityError says that a data directory must not be used by this member. It
// is final: starting again changes nothing.
type IdentityError struct {
	Dir string
	Why string
	Fix string // what to do about it; the general advice if empty
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("cluster: data directory %s: %s", e.Dir, e.Why)
}

// Hint tells the operator what to do about it.
func (e *IdentityError) Hint() string {
	return cmp.Or(e.Fix, "An acceptor that forgot its promises can undo decisions. Put the member's own data directory "+
		"back; if it is lost, give the machine an empty one and a new member name and id, and have it added to the cluster.")
}

// openIdentity reads the identity in dir, or draws a new one. Who is to join a cluster does
// not know its number: the directory does, once it has been added.
func openIdentity(dir, cluster string, member uint32, name string) (*messages.Identity, error) {
	id, err := readIdentity(dir, cluster, member, name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := refuseOrphan(dir); err != nil {
			return nil, err
		}
		id = drawIdentity(cluster, member, name)
		return id, saveIdentity(dir, id)
	}
	switch {
	case err != nil:
		return nil, err
	case id.Spent != "":
		return nil, outdated(dir, id.Spent)
	case id.Salt == 0: // of an earlier version
		id.Salt = drawDisk()
		return id, saveIdentity(dir, id)
	}
	return id, nil
}

// outdated is the error for a directory that was put back after a later start of it took part.
func outdated(dir, why string) *IdentityError {
	return &IdentityError{dir, "it is an older copy: " + why, "An acceptor that forgot its promises can undo decisions. Put the member's latest " +
		"data directory back; if it is lost, put a new member in its place (`pmmc member replace`), on an empty directory."}
}

// readIdentity reads the identity in dir, which must be that of a member. The number of
// one that was added to a running cluster is not given: the cluster gave it.
func readIdentity(dir, cluster string, member uint32, name string) (*messages.Identity, error) {
	b, err := os.ReadFile(filepath.Join(dir, identityFile))
	if err != nil {
		return nil, fmt.Errorf("cluster: identity: %w", err)
	}
	id := &messages.Identity{}
	b, err = checkSummed(b)
	if err == nil {
		err = protojson.Unmarshal(b, id)
	}
	if err != nil {
		return nil, &IdentityError{Dir: dir, Why: fmt.Sprintf("%s cannot be read: %v", identityFile, err)}
	}
	switch {
	case id.Unfinished:
		return nil, &IdentityError{dir, "it was being restored from a snapshot, and that did not end", restoreAgain}
	case id.Cluster != cluster || member != 0 && id.Member != member || id.Name != name:
		other := &IdentityError{Dir: dir, Why: fmt.Sprintf("it belongs to member %q (id %d) of cluster %q, not to %q (id %d) of %q",
			id.Name, id.Member, id.Cluster, name, member, cluster)}
		if !id.Admitted {
			other.Fix = tookNoPart
		}
		return nil, other
	}
	return id, nil
}

func drawIdentity(cluster string, member uint32, name string) *messages.Identity {
	return &messages.Identity{Cluster: cluster, Member: member, Name: name, Disk: drawDisk(), Salt: drawDisk()}
}

func drawDisk() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// saveIdentity replaces the file as a whole.
func saveIdentity(dir string, id *messages.Identity) error {
	b, err := protojson.MarshalOptions{Multiline: true}.Marshal(id)
	if err != nil {
		return fmt.Errorf("cluster: identity: %w", err)
	}
	return replaceFile(filepath.Join(dir, identityFile), func(f *os.File) error {
		_, err := f.Write(withSum(b))
		return err
	})
}

// withSum is a text with a last line that holds its CRC-32C.
func withSum(b []byte) []byte {
	return fmt.Appendf(slices.Clip(b), "\n%08x\n", crc32.Checksum(b, castagnoli))
}

// checkSummed takes the last line off again. A file of an earlier version has none: it ends
// with its last brace.
func checkSummed(b []byte) ([]byte, error) {
	if bytes.HasSuffix(b, []byte("}\n")) {
		return b, nil
	}
	at := len(b) - len("\n00000000\n")
	if at < 0 || !bytes.Equal(withSum(b[:at]), b) {
		return nil, errors.New("its checksum does not match")
	}
	return b[:at], nil
}

// replaceFile writes a file beside path, makes it durable, and puts it in its place.
func replaceFile(path string, write func(*os.File) error) (err error) {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err == nil {
			err = syncDir(filepath.Dir(path))
		}
		if err != nil {
			err = fmt.Errorf("cluster: write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
