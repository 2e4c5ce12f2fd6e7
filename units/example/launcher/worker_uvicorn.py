"""An application of uvicorn whose reloads lose nothing: worker_uvicorn.py MODULE:APPLICATION

uvicorn by itself, told to end, closes every connection on which it has not read a request yet, also one
that it has just accepted and on which the request is under way. This one waits for that request for a
while, answers it, and closes then.
"""

import sys

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# How long a connection on which nothing comes is kept while we drain, in seconds.
IDLE = 2


class Draining(H11Protocol):
    is_draining = False

    def shutdown(self):
        self.is_draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(IDLE, self.close_if_idle)

    def handle_events(self):
        super().handle_events()
        if self.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def close_if_idle(self):
        if not self.transport.is_closing():
            super().shutdown()


if __name__ == "__main__":
    uvicorn.run(sys.argv[1], fd=3, http=Draining, ws="none", app_dir=".")
