// The peer of our WebSocket fan-out: the package ws, which sends every message to every client, as it is told.
//
// Prints {"port": of the clients, "feed": where the messages come from} and goes on until it is killed. The feed is
// messages of length (4 bytes, big-endian), what it is (1 byte), payload. A client gets first the newest init and all
// since the newest key picture.
const net = require('node:net');
const {WebSocket, WebSocketServer} = require('ws');

const INIT = 1;
const KEY = 2;
const HEADER_BYTES = 5;
let init = null;
let group = [];

const server = new WebSocketServer({host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 1024});
server.on('connection', client => {
  for (const message of init === null ? [] : [init, ...group]) client.send(message);
});

function take(what, message) {
  if (what === INIT) init = message;
  else if (what === KEY) group = [message];
  else group.push(message);
  for (const client of server.clients) if (client.readyState === WebSocket.OPEN) client.send(message);
}

const feed = net.createServer(socket => {
  let rest = Buffer.alloc(0);
  socket.on('data', data => {
    rest = rest.length ? Buffer.concat([rest, data]) : data;
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(0)) {
      const end = HEADER_BYTES + rest.readUInt32BE(0);
      take(rest[4], Buffer.from(rest.subarray(HEADER_BYTES, end)));
      rest = rest.subarray(end);
    }
  });
});
feed.listen(0, '127.0.0.1', () => {
  const tell = () => console.log(JSON.stringify({port: server.address().port, feed: feed.address().port}));
  if (server.address() === null) server.on('listening', tell);
  else tell();
});
