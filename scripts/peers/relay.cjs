// The relay that all testers load: a room is a URL path, and a frame goes to
// everyone else in the room. GET / answers with what it has counted.
//
//   PORT=7100 WINDOW_MS=5000 node relay.cjs
//
// `sent_in_window` are the frames that came within WINDOW_MS of the first one.
const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');

const rooms = new Map();
const count = { open: 0, opened: 0, opening_ms: 0, opening_cpu_ms: 0, sent: 0, sent_in_window: 0, delivered: 0 };
const windowMs = Number(process.env.WINDOW_MS ?? Infinity);
const cpuMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
let firstOpen, firstFrame;

const server = createServer((_, response) => response.end(JSON.stringify(count) + '\n'));
// Without compression, and a long queue of connections, as other relays have it.
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });

sockets.on('connection', (socket, request) => {
  const room = rooms.get(request.url) ?? new Set();
  rooms.set(request.url, room.add(socket));
  firstOpen ??= { at: performance.now(), cpu: cpuMs() };
  count.open += 1;
  count.opened += 1;
  count.opening_ms = performance.now() - firstOpen.at;
  count.opening_cpu_ms = cpuMs() - firstOpen.cpu;
  socket.on('message', (frame, binary) => {
    const now = performance.now();
    firstFrame ??= now;
    count.sent += 1;
    if (now - firstFrame < windowMs) count.sent_in_window += 1;
    for (const member of room) {
      if (member === socket || member.readyState !== 1) continue;
      member.send(frame, { binary });
      count.delivered += 1;
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => { room.delete(socket); count.open -= 1; });
});
process.on('SIGTERM', () => { console.log(JSON.stringify(count)); process.exit(0); });
