package setup

import (
	"fmt"
	"os"
	"syscall"
)

// ownAs gives a file the owner that its directory has, which only root can do, and nobody
// else needs to.
func ownAs(dir, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("find the owner of %s: %w", dir, err)
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := os.Lchown(path, int(s.Uid), int(s.Gid)); err != nil {
		return fmt.Errorf("give %s the owner of %s: %w", path, dir, err)
	}
	return nil
}
