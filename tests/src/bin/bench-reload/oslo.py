"""Two workers of oslo.service with its own web server, as API services of OpenStack are: a reload (SIGHUP)
has every worker finish and be started again."""

import eventlet

eventlet.monkey_patch()

import sys

from oslo_config import cfg
from oslo_service import service, wsgi


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]


host, port = sys.argv[1].rsplit(":", 1)
conf = cfg.ConfigOpts()
wsgi.register_opts(conf)
conf([])
server = wsgi.Server(conf, "web", application, host=host, port=int(port))
launcher = service.ProcessLauncher(conf)
launcher.launch_service(server, workers=2)
launcher.wait()
