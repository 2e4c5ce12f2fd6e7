"""Two workers of oslo.service, each a small web server on the socket of their launcher, as its
documentation has it: a reload (SIGHUP) restarts every worker."""

import http.server
import socket
import sys
import threading

from oslo_config import cfg
from oslo_service import service


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        pass


class Web(service.ServiceBase):
    def __init__(self, listener):
        self.listener = listener

    def start(self):
        self.server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        self.server.daemon_threads = False
        self.server.socket.close()
        self.server.socket = self.listener.dup()
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self):
        self.server.shutdown()

    def wait(self):
        self.thread.join()

    def reset(self):
        pass


host, port = sys.argv[1].rsplit(":", 1)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
listener.listen(4096)
listener.setblocking(False)
cfg.CONF([])
launcher = service.ProcessLauncher(cfg.CONF, restart_method="reload")
launcher.launch_service(Web(listener), workers=2)
launcher.wait()
