package serve

import (
	"os"
	"strconv"
	"time"
)

// watch ends the program when the node's process has ended, however that happened: then
// the kernel closes the other end of the pipe. (On Linux it kills the program as well,
// unless that has changed its user.)
func (s *service) watch(fd string) {
	if n, err := strconv.Atoi(fd); err == nil {
		_, _ = os.NewFile(uintptr(n), "lifeline").Read(make([]byte, 1))
	}
	time.AfterFunc(lastWork, func() { os.Exit(1) })
	if server := s.server.Load(); server != nil {
		server.Stop() // by which run returns
		return
	}
	os.Exit(1)
}
