// One VU is one client. Its clock, Date.now, ticks in milliseconds.
import { WebSocket } from 'k6/websockets';
import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';

const number = (name) => Number(__ENV[name]);
const [clients, rooms, rate, payload] = ['CLIENTS', 'ROOMS', 'RATE', 'PAYLOAD'].map(number);
const [length, settle, drain] = ['LENGTH', 'SETTLE', 'DRAIN'].map((name) => number(name) * 1000);

const sent = new Counter('sent');
const received = new Counter('received');
const propagation = new Trend('propagation');

export const options = {
  scenarios: {
    clients: {
      executor: 'per-vu-iterations',
      vus: clients,
      iterations: 1,
      maxDuration: `${settle + length + drain + 30000}ms`,
    },
  },
  summaryTrendStats: ['p(50)', 'p(99)'],
};

export default function () {
  const user = exec.vu.idInTest - 1;
  const start = exec.scenario.startTime + settle;
  const end = start + length;
  const socket = new WebSocket(`${__ENV.URL}/r${user % rooms}`);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => {
    received.add(1);
    propagation.add(Date.now() - new DataView(data).getFloat64(0));
  };
  socket.onopen = () => {
    setTimeout(() => socket.close(), end + drain - Date.now());
    if (rate === 0) return;
    const period = 1000 / rate;
    const offset = __ENV.PHASE === 'spread' ? (period * user) / clients : 0;
    const send = () => {
      const frame = new ArrayBuffer(payload);
      new DataView(frame).setFloat64(0, Date.now());
      socket.send(frame);
      sent.add(1);
    };
    setTimeout(() => {
      send();
      const timer = setInterval(() => (Date.now() < end ? send() : clearInterval(timer)), period);
    }, start + offset - Date.now());
  };
}

export function handleSummary({ metrics }) {
  const value = (name, stat) => (metrics[name] ? metrics[name].values[stat] : null);
  const report = {
    sent: value('sent', 'count'),
    received: value('received', 'count'),
    p50_ms: value('propagation', 'p(50)'),
    p99_ms: value('propagation', 'p(99)'),
  };
  return { [`${__ENV.OUT}.report.json`]: JSON.stringify(report) };
}
