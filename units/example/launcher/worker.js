#!/usr/bin/env node
// A worker to copy: what a server in Node must do so that not even a kept connection loses a request
// when unitlink-launcher replaces it. Node cannot send READY=1 by itself, so it is ready when it has lived
// for `warm_up`; or ask it, with `ready = "exec:..."`.
"use strict";
const http = require("node:http");
const net = require("node:net");

const IDLE_MILLIS = 2000; // how long a kept connection may be idle while we drain
let draining = false;

const server = http.createServer((request, response) => {
  if (draining) {
    response.setHeader("Connection", "close");
  }
  response.end(`${process.env.LAUNCHER_GENERATION} ${process.pid}\n`);
});
// A kept connection that Node closes by itself may lose the request that is on its way.
server.keepAliveTimeout = 0;

process.on("SIGTERM", () => {
  if (draining) {
    return;
  }
  draining = true;
  // Not http.Server's close(), which breaks idle connections at once.
  net.Server.prototype.close.call(server, () => process.exit(0));
  // The client may be sending one request more right now: it has a while for it.
  setTimeout(() => setInterval(() => server.closeIdleConnections(), 50), IDLE_MILLIS);
});

if (process.env.LISTEN_PID !== String(process.pid)) {
  console.error("no socket was passed: LISTEN_PID is not this process");
  process.exit(1);
}
server.listen({ fd: 3 });
