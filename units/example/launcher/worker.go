// A worker to copy: what a server in Go must do so that not even a kept connection loses a request when
// unitlink-launcher replaces it. Only the standard library is needed.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// How long a kept connection may be idle while we drain.
const idle = 2 * time.Second

func main() {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		log.Fatal("no socket was passed: LISTEN_PID is not this process")
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	listener, err := net.FileListener(os.NewFile(3, "passed"))
	if err != nil {
		log.Fatal(err)
	}

	var draining int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		if atomic.LoadInt32(&draining) == 1 {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprintf(w, "%s %d\n", os.Getenv("LAUNCHER_GENERATION"), os.Getpid())
	}
	server := &http.Server{Handler: http.HandlerFunc(handler)}
	go server.Serve(listener)
	notify("READY=1")

	<-terminated
	atomic.StoreInt32(&draining, 1)
	listener.Close()
	// Not at once: Shutdown breaks idle connections, and the client may be sending one request more
	// right now.
	time.Sleep(idle)
	server.Shutdown(context.Background())
}

// notify tells the launcher something, sd_notify(3). Go writes an abstract address with "@" as well.
func notify(text string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	to, err := net.Dial("unixgram", name)
	if err == nil {
		to.Write([]byte(text))
		to.Close()
	}
}
