// The steps of artillery.yml that YAML cannot say. Artillery measures no latency of
// WebSocket messages, so receivers take it from the time that the sender wrote into
// the payload, and feed a custom histogram.
const { CLIENTS, ROOMS, RATE, LENGTH, PHASE, PAYLOAD, SETTLE, DRAIN } = process.env;
const now = () => performance.timeOrigin + performance.now();
const sleepUntil = (time) => new Promise((done) => setTimeout(done, time - now()));
let users = 0;
let start; // when all begin to send: a while after the first one connects

module.exports = { enter, listen, begin, compose, unfinished, drain };

function enter(connection, context, done) {
  const user = users++;
  start ??= now() + Number(SETTLE) * 1000;
  const share = PHASE === 'spread' ? user / Number(CLIENTS) : 0;
  context.vars.begin = start + (Number(RATE) ? (share * 1000) / Number(RATE) : 0);
  context.vars.end = start + Number(LENGTH) * 1000;
  connection.target += `/r${user % Number(ROOMS)}`;
  done();
}

async function listen(context, events) {
  context.ws.on('message', (frame) => {
    events.emit('counter', 'received', 1);
    events.emit('histogram', 'propagation', now() - Number.parseFloat(frame));
  });
}

async function begin(context) {
  await sleepUntil(Number(RATE) ? context.vars.begin : context.vars.end);
}

async function compose(context) {
  context.vars.payload = `${now()} `.padEnd(Number(PAYLOAD), 'x');
}

function unfinished(context, done) {
  done(now() < context.vars.end);
}

async function drain(context) {
  await sleepUntil(context.vars.end + Number(DRAIN) * 1000);
}
