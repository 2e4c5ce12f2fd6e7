#!/usr/bin/env python3
"""A worker to copy: what a server in Python must do so that not even a kept connection loses a request
when unitlink-launcher replaces it. Only the standard library is needed."""

import http.server
import os
import select
import signal
import socket
import threading

IDLE_SECONDS = 2  # how long a kept connection may be idle while we drain

# Whoever waits for a request sees the end of this pipe.
draining, drain = os.pipe()


def is_draining():
    return bool(select.select([draining], [], [], 0)[0])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        ready, _, _ = select.select([self.connection, draining], [], [])
        if self.connection not in ready:
            # The client may be sending one request more right now: it has a while for it.
            ready, _, _ = select.select([self.connection], [], [], IDLE_SECONDS)
            if not ready:
                self.close_connection = True
                return
        super().handle_one_request()

    def do_GET(self):
        body = f"{os.environ.get('LAUNCHER_GENERATION')} {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if is_draining():
            self.send_header("Connection", "close")  # which also closes it
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def notify(text):
    name = os.environ.get("NOTIFY_SOCKET")
    if name:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            to.sendto(text.encode(), "\0" + name[1:] if name[0] == "@" else name)


def stop_at_term(server):
    signal.sigwait({signal.SIGTERM})
    server.shutdown()  # waits for the loop, so it must not be called in it


def main():
    # A thread waits for TERM. A handler would run in the middle of whatever the main thread is at, and
    # what it does there, such as starting a thread, may need a lock that the main thread holds. Whoever
    # starts processes here unblocks it in them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise SystemExit("no socket was passed: LISTEN_PID is not this process")
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=3)
    server.socket.setblocking(False)  # others accept from it too, and may be faster
    server.daemon_threads = False  # server_close() waits for what was begun

    threading.Thread(target=stop_at_term, args=(server,), daemon=True).start()
    notify("READY=1")
    server.serve_forever(poll_interval=0.05)
    os.close(drain)
    server.server_close()


if __name__ == "__main__":
    main()
