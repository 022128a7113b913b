// Package pages finds out whether the pages of a bbolt file hang together, before bbolt follows them.
package pages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/writ-iam/writ/log/wire"
)

// The layout of bbolt's files, as far as it is read here. It is bbolt's version 2;
// others are left to bbolt.
const (
	pageMagic   = 0xED0CDAED
	pageVersion = 2

	pageHeader    = 16 // id 8, flags 2, count 2, overflow 4
	metaSize      = 64 // magic 4, version 4, page size 4, flags 4, root 8+8, free list 8, pages 8, transaction 8, checksum 8
	branchElement = 16 // position 4, key's size 4, page 8
	leafElement   = 16 // flags 4, position 4, key's size 4, value's size 4
	bucketHeader  = 16 // root page 8, sequence 8

	flagBranch = 1
	flagLeaf   = 2
	flagBucket = 1 // of a leaf's element

	smallestPage, largestPage = 512, 64 << 10 // bytes
)

// walker goes through a bbolt file. Opened for writing without a list of free pages,
// bbolt looks for them on a goroutine of its own, where a damaged page ends the
// process with a trace and an address outside of the file may be read. So every page
// that it would follow is looked at here first.
type walker struct {
	file *os.File
	size int64  // of a page, in bytes
	end  uint64 // the page behind the last
	seen map[uint64]bool
}

// Check finds out whether the pages of a bbolt file hang together. What is on
// them is not its concern, and a file that is new, or not bbolt's at all, is left to
// bbolt. The error wraps wire.ErrCorrupt where they do not.
func Check(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) // until f is closed
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil // another process writes it: bbolt says so
	}
	if err != nil {
		return err
	}
	p := &walker{file: f, seen: map[uint64]bool{}}
	root, ok, err := p.meta()
	if err != nil || !ok {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if want := int64(p.end) * p.size; info.Size() < want {
		return fmt.Errorf("%w: the file has %d bytes of %d", wire.ErrCorrupt, info.Size(), want)
	}
	return p.walk(root, nil, nil)
}

// meta reads the newer of the two pages that say where everything is. The other may
// be half written. False: neither is sound.
func (p *walker) meta() (root uint64, ok bool, err error) {
	var newest uint64
	for size := int64(smallestPage); size <= largestPage; size *= 2 {
		for _, at := range []int64{0, size} {
			b := make([]byte, pageHeader+metaSize)
			if _, err := p.file.ReadAt(b, at); errors.Is(err, io.EOF) {
				continue
			} else if err != nil {
				return 0, false, err
			}
			m := b[pageHeader:]
			sum := fnv.New64a()
			sum.Write(m[:metaSize-8]) // never fails
			if binary.LittleEndian.Uint32(m) != pageMagic || binary.LittleEndian.Uint32(m[4:]) != pageVersion ||
				int64(binary.LittleEndian.Uint32(m[8:])) != size || binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() {
				continue
			}
			if txid := binary.LittleEndian.Uint64(m[48:]); !ok || txid > newest {
				newest, ok = txid, true
				p.size, root, p.end = size, binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[40:])
			}
		}
		if ok {
			return root, true, nil
		}
	}
	return 0, false, nil
}

// walk looks at a page and at all below it, whose keys are from low on and below
// high; nil is no bound. A tree as deep as it may ever get has some ten levels; a
// circle is noticed.
func (p *walker) walk(id uint64, low, high []byte) error {
	b, err := p.read(id)
	if err != nil {
		return err
	}
	count := int(binary.LittleEndian.Uint16(b[10:]))
	element := p.leaf
	switch flags := binary.LittleEndian.Uint16(b[8:]); flags {
	case flagBranch:
		element = p.branch
	case flagLeaf:
	default:
		return p.damaged(id, fmt.Sprintf("it is of kind %#x", flags))
	}
	keys, below := make([][]byte, count), make([]uint64, count)
	for i := range count {
		if keys[i], below[i], err = element(id, b, i); err != nil {
			return err
		}
		if i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 || i == 0 && bytes.Compare(keys[i], low) < 0 ||
			high != nil && bytes.Compare(keys[i], high) >= 0 {
			return p.damaged(id, "its keys are not in order")
		}
	}
	for i, page := range below {
		if page == 0 {
			continue
		}
		from, to := []byte(nil), []byte(nil) // of a bucket: its keys are its own
		if binary.LittleEndian.Uint16(b[8:]) == flagBranch {
			from, to = keys[i], high
			if i+1 < count {
				to = keys[i+1]
			}
		}
		if err := p.walk(page, from, to); err != nil {
			return err
		}
	}
	return nil
}

// read reads a page with those that it overflows into.
func (p *walker) read(id uint64) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, p.damaged(id, fmt.Sprintf("there are %d pages", p.end))
	}
	b := make([]byte, p.size)
	if _, err := p.file.ReadAt(b, int64(id)*p.size); err != nil {
		return nil, err
	}
	if own := binary.LittleEndian.Uint64(b); own != id {
		return nil, p.damaged(id, fmt.Sprintf("it says it is page %d", own))
	}
	more := uint64(binary.LittleEndian.Uint32(b[12:]))
	if id+more >= p.end {
		return nil, p.damaged(id, "it goes on behind the last")
	}
	for at := id; at <= id+more; at++ {
		if p.seen[at] {
			return nil, p.damaged(at, "it is in use twice")
		}
		p.seen[at] = true
	}
	if more > 0 {
		b = append(b, make([]byte, int64(more)*p.size)...)
		if _, err := p.file.ReadAt(b[p.size:], int64(id+1)*p.size); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// branch reads an element of a branch: a key and the page below.
func (p *walker) branch(id uint64, b []byte, i int) (key []byte, below uint64, err error) {
	at := pageHeader + i*branchElement
	if at+branchElement > len(b) {
		return nil, 0, p.damaged(id, "it has more elements than room")
	}
	e := b[at:]
	key, _, err = p.slice(id, b, at, binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:]), 0)
	if below = binary.LittleEndian.Uint64(e[8:]); below == 0 && err == nil {
		err = p.damaged(id, "there is nothing below it")
	}
	return key, below, err
}

// leaf reads an element of a leaf: a key, and the root page of a bucket where it is
// one with pages of its own, else 0.
func (p *walker) leaf(id uint64, b []byte, i int) (key []byte, below uint64, err error) {
	at := pageHeader + i*leafElement
	if at+leafElement > len(b) {
		return nil, 0, p.damaged(id, "it has more elements than room")
	}
	e := b[at:]
	key, value, err := p.slice(id, b, at, binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:]))
	if err != nil || binary.LittleEndian.Uint32(e)&flagBucket == 0 {
		return key, 0, err
	}
	if len(value) < bucketHeader {
		return nil, 0, p.damaged(id, "a bucket has no header")
	}
	return key, binary.LittleEndian.Uint64(value), nil
}

// slice is the key and the value of the element at a place, which are further on.
func (p *walker) slice(id uint64, b []byte, at int, position, keySize, valueSize uint32) (key, value []byte, err error) {
	from := uint64(at) + uint64(position)
	middle := from + uint64(keySize)
	end := middle + uint64(valueSize)
	if end > uint64(len(b)) {
		return nil, nil, p.damaged(id, "an element ends behind it")
	}
	return b[from:middle], b[middle:end], nil
}

func (p *walker) damaged(id uint64, how string) error {
	return fmt.Errorf("%w: page %d: %s", wire.ErrCorrupt, id, how)
}
