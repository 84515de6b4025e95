// What scripts/peers.sh measured: one line a run, and the table made of the lines.
//
//   node report.cjs run RUNS.jsonl '{"tester": ..., "out": ...}'   adds a run, with what lies in its files
//   node report.cjs table FOLDER                                   table.md, peers.json, and Markdown on stdout
//
// Every figure comes from a run; what was not measured is a dash.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const text = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
const lines = (file) => text(file).split('\n').filter(Boolean);
const json = (source) => { try { return JSON.parse(source); } catch { return null; } };

// --- one run --------------------------------------------------------------------

// What a run of syncbench says of itself.
function ofRecord(out) {
  const record = json(text(`${out}.out`));
  if (!record) return null;
  const { sent, scheduled, frames_in, connecting_us } = record.counts;
  const { p50, p99 } = record.latency.propagation ?? {};
  const ms = (us) => (us === undefined ? null : us / 1000);
  return {
    sent,
    scheduled,
    received: frames_in,
    p50_ms: ms(p50),
    p99_ms: ms(p99),
    p50_from_send_ms: ms(record.latency.propagation_from_send?.p50),
    connecting_s: connecting_us / 1e6,
    rooms: record.convergence.rooms,
    converged: record.convergence.converged,
    verdict: record.verdict,
  };
}

// What each tester says of itself: { sent, received, scheduled, p50_ms, p99_ms, ... }.
const OWN = {
  syncbench: ofRecord,
  crowd: ofRecord,
  opening: ofRecord,
  bare: (out) => json(text(`${out}.out`)),
  closed: (out) => json(text(`${out}.out`)),
  imports: (out) => json(text(`${out}.out`)),
  artillery(out) {
    const report = json(text(`${out}.report.json`))?.aggregate;
    const latency = report?.summaries?.propagation;
    return report && {
      sent: report.counters['websocket.messages_sent'] ?? 0,
      received: report.counters.received ?? 0,
      p50_ms: latency?.p50 ?? null,
      p99_ms: latency?.p99 ?? null,
    };
  },
  locust: (out) => json(text(`${out}.report.json`)),
  k6: (out) => json(text(`${out}.report.json`)),
  // Tsung counts bytes, those of the handshakes too, and not messages, when none is an answer.
  tsung(out, { payload }) {
    const folder = `${out}.tsung`;
    const log = fs.existsSync(folder) && lines(path.join(folder, fs.readdirSync(folder)[0], 'tsung.log'));
    if (!log) return null;
    const last = (name) => Number(log.filter((line) => line.startsWith(`stats: ${name} `)).at(-1)?.split(' ').at(-1) ?? NaN);
    const header = 2; // of a frame below 126 bytes
    return { sent: last('request_noack'), received: Math.floor(last('size_rcv') / (payload + header)) };
  },
  // One process for each room, so percentiles of the rooms: the median room's p50, the worst one's p99.
  tcpkali(out) {
    const found = [...text(`${out}.out`).matchAll(/latency at percentiles: ([\d./]+) ms \(([\d./]+)%/gi)];
    const at = (wanted) => found.map(([, values, names]) => Number(values.split('/')[names.split('/').indexOf(wanted)]));
    return found.length ? { p50_ms: median(at('50')), p99_ms: Math.max(...at('99')) } : null;
  },
};

function cpuSeconds(file) {
  // The last line: a process that is killed makes the shell say so before.
  const figures = lines(file).at(-1)?.split(' ').map(Number) ?? [];
  return figures.length === 2 && figures.every(Number.isFinite) ? figures[0] + figures[1] : null;
}

function addRun(file, line) {
  const run = JSON.parse(line);
  const { out } = run;
  run.out = path.basename(out);
  run.cpu_s = cpuSeconds(`${out}.cpu`);
  run.relay_cpu_s = cpuSeconds(`${out}.relay.cpu`);
  const counts = json(lines(`${out}.relay.out`).at(-1) ?? '');
  run.relay_counts = counts?.delivered === undefined ? null : counts;
  run.own = OWN[run.tester](out, run);
  fs.appendFileSync(file, `${JSON.stringify(run)}\n`);
}

// --- the table ------------------------------------------------------------------

function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// The figure of each repetition, and its median.
const figure = (values) => {
  const measured = values.filter(Number.isFinite);
  return measured.length ? { value: median(measured), all: measured } : null;
};

const groupBy = (runs, key) => Map.groupBy?.(runs, key) ?? runs.reduce((groups, run) => {
  groups.set(key(run), [...(groups.get(key(run)) ?? []), run]);
  return groups;
}, new Map());

// What one more unit of `x` costs in `y`: between the smallest and the largest run of each
// repetition, so that what a run costs before it begins cancels out.
function slopes(runs, axis, x, y) {
  const sizes = [...new Set(runs.map((run) => run[axis]))].sort((a, b) => a - b);
  if (sizes.length < 2) return [];
  const [small, large] = [sizes[0], sizes.at(-1)].map((size) => runs.filter((run) => run[axis] === size));
  return large.map((run, i) => {
    const [dx, dy] = [x, y].map((of) => (small[i] && of(run) !== null && of(small[i]) !== null ? of(run) - of(small[i]) : NaN));
    return dx > 0 && dy > 0 ? dy / dx : NaN;
  });
}

const scheduled = ({ clients, rate, seconds }) => clients * rate * seconds;
const delivered = (run) => run.relay_counts?.delivered ?? null;
const received = (run) => run.own?.received ?? null;
const perMillion = (values) => values.map((value) => value * 1e6);
const longest = (runs) => runs.filter((run) => run.seconds === Math.max(...runs.map(({ seconds }) => seconds)));
const own = (runs, name) => figure(runs.map((run) => run.own?.[name] ?? NaN));

function moderateRow(runs, idle) {
  const long = longest(runs);
  return {
    tester: runs[0].tester,
    phase: runs[0].phase,
    deliveries: figure(long.map(delivered)),
    cpu_s_per_million: figure(perMillion(slopes(runs, 'seconds', delivered, (run) => run.cpu_s))),
    relay_cpu_s_per_million: figure(perMillion(slopes(runs, 'seconds', delivered, (run) => run.relay_cpu_s))),
    // By the relay's clock, from the first frame on.
    sent_of_scheduled: figure(long.map((run) => (run.relay_counts?.sent_in_window ?? NaN) / scheduled(run))),
    // What the tester counted, of what the relay delivered to it.
    counted_of_delivered: figure(long.map((run) => (received(run) ?? NaN) / delivered(run))),
    p50_ms: own(long, 'p50_ms'),
    p99_ms: own(long, 'p99_ms'),
    ...idleFigures(idle ?? []),
  };
}

function idleFigures(runs) {
  const all = runs.filter(({ relay_counts, clients }) => relay_counts?.opened >= clients);
  const most = all.filter((run) => run.clients === Math.max(...all.map(({ clients }) => clients)));
  return {
    rss_per_connection: figure(slopes(all, 'clients', (run) => run.clients, (run) => run.rss_kb * 1024)),
    opened_per_s: figure(most.map(({ relay_counts: r }) => ((r.opened - 1) * 1000) / r.opening_ms)),
    relay_busy_while_opening: figure(most.map(({ relay_counts: r }) => r.opening_cpu_ms / r.opening_ms)),
  };
}

function saturatedRow(runs) {
  const long = longest(runs);
  const cost = figure(perMillion(slopes(runs, 'seconds', received, (run) => run.cpu_s)));
  return {
    tester: runs[0].tester,
    phase: runs[0].phase,
    relay: runs[0].relay,
    received: own(long, 'received'),
    cpu_s_per_million: cost,
    per_cpu_s: cost && figure(cost.all.map((seconds) => 1e6 / seconds)),
    // While frames were sent: CPU seconds for each second that the run is longer.
    relay_busy: figure(slopes(runs, 'seconds', ({ seconds }) => seconds, ({ relay_cpu_s }) => relay_cpu_s)),
    sent_of_scheduled: figure(long.map((run) => (run.own?.sent ?? NaN) / scheduled(run))),
    exit_codes: [...new Set(long.map((run) => run.exit_code))],
  };
}

function frozenRow(runs) {
  const [{ tester, clients, rate, seconds }] = runs;
  return {
    tester: tester === 'closed' ? 'closed: ping, wait, ping' : tester,
    work: tester === 'closed' ? '5 pairs, as fast as answers come' : `${clients} clients, ${rate}/s each`,
    seconds,
    // Of those intended while the relay stood still, evenly from 0 to the whole of it, and the
    // rest at about 0: one in a hundred of all waits longer than this.
    theory_p99_ms: tester === 'closed' ? null : figure(runs.map(({ frozen_s }) => Math.max(0, frozen_s - seconds / 100) * 1000)),
    p50_ms: own(runs, 'p50_ms'),
    p99_ms: own(runs, 'p99_ms'),
  };
}

// syncbench's figure over the row's: 0.25 is a quarter.
const ratio = (ours, theirs, name) => (ours?.[name] && theirs[name] && ours !== theirs ? ours[name].value / theirs[name].value : null);

function summarise(runs) {
  const of = (section) => runs.filter((run) => run.section === section);
  const byTester = (section) => groupBy(of(section), ({ tester }) => tester);
  const idle = byTester('idle');
  let same = [...groupBy(of('moderate'), ({ tester, phase }) => `${tester} ${phase}`).values()]
    .map((group) => moderateRow(group, idle.get(group[0].tester)));
  if (same.length === 0) same = [...idle].map(([tester, group]) => ({ tester, phase: 'idle', ...idleFigures(group) }));
  for (const row of same) {
    const ours = same.find(({ tester, phase }) => tester === 'syncbench' && phase === row.phase);
    row.syncbench_cpu_ratio = ratio(ours, row, 'cpu_s_per_million');
    row.syncbench_rss_ratio = ratio(ours, row, 'rss_per_connection');
  }
  const saturated = [...byTester('saturated').values()].map(saturatedRow);
  for (const row of saturated) {
    row.syncbench_cpu_ratio = ratio(saturated.find(({ tester }) => tester === 'syncbench'), row, 'cpu_s_per_million');
  }
  return { same, saturated, frozen: [...byTester('frozen').values()].map(frozenRow) };
}

// --- goals ----------------------------------------------------------------------

const atMost = (limit) => (value) => value <= limit;
const atLeast = (limit) => (value) => value >= limit;

// Each goal with what was measured, and whether that meets it; null where it was not measured.
function goals(rows, runs) {
  const find = (section, tester, phase) => section.find((row) => row.tester === tester && (!phase || row.phase === phase));
  const locked = (tester) => find(rows.same, tester, 'locked');
  const cpu = (tester) => locked(tester)?.syncbench_cpu_ratio;
  const saturated = (tester) => find(rows.saturated, tester)?.syncbench_cpu_ratio;
  const memory = rows.same.find(({ tester }) => tester === 'syncbench');
  const k6 = rows.same.find(({ tester }) => tester === 'k6');
  const of = (section, tester) => runs.filter((run) => run.section === section && run.tester === tester);
  const mid = (found, value) => median(found.map(value));
  const spread = longest(of('moderate', 'syncbench').filter(({ phase }) => phase === 'spread'));
  const ours = runs.filter(({ own, section, tester }) => tester === 'syncbench' && own?.scheduled && section !== 'idle');
  const honest = ours.filter((run) => run.own.verdict && (run.own.sent >= 0.999 * run.own.scheduled || run.exit_code === 7));
  const frozen = find(rows.frozen, 'syncbench');
  const theory = frozen?.theory_p99_ms?.value;
  // What came in while the relay stood still, each at what a delivery costs it.
  const [freeze] = of('frozen', 'syncbench');
  const backlog = freeze ? freeze.clients * freeze.rate * (freeze.clients / freeze.rooms - 1) * freeze.frozen_s : 0;
  const working_off = ((locked('syncbench')?.relay_cpu_s_per_million?.value ?? 0) * backlog) / 1000;
  const crowds = of('alone', 'crowd');
  const per = (of_what) => (value) => `${times(value)} of ${of_what}`;
  return [
    ['CPU for a delivery, locked, beside k6', 'at most 0.25', cpu('k6'), atMost(0.25), per('its')],
    ['the same beside Artillery', 'at most 0.5', cpu('artillery'), atMost(0.5), per('its')],
    ['the same beside Locust', 'at most 0.6', cpu('locust'), atMost(0.6), per('its')],
    ['the same saturated, beside k6', 'at most 0.1', saturated('k6'), atMost(0.1), per('its')],
    ['saturated, beside a client that only counts', 'at most 1.5', saturated('bare'), atMost(1.5), per('its')],
    ['memory for an idle light client', 'at most 12 kB', memory?.rss_per_connection?.value, atMost(12_000), kilobytes],
    ['the same beside k6', 'at most 0.1', k6?.syncbench_rss_ratio, atMost(0.1), per('its')],
    ['connections opened on one core', 'at least 8,000/s', mid(of('alone', 'opening'), ({ own, clients }) => clients / own?.connecting_s), atLeast(8000), (value) => `${round(value)}/s`],
    ['headline p50 less that from the send, spread', 'at most 50 µs', mid(spread, ({ own }) => (own?.p50_ms - own?.p50_from_send_ms) * 1000), atMost(50), (value) => `${round(value)} µs`],
    ['runs with 99.9 % of the schedule sent, or exit code 7', 'all', ours.length ? honest.length / ours.length : null, atLeast(1), () => `${honest.length} of ${ours.length}`],
    ['p99 of a relay frozen for 1 s', `${round(theory ?? 0)} ms to ${round((theory ?? 0) + working_off)} ms in theory, 5 % around`, frozen?.p99_ms?.value, (value) => value >= 0.95 * theory && value <= 1.05 * (theory + working_off), (value) => `${round(value)} ms`],
    ["full replicas' imports, beside the library's own", 'at most 1.15', mid(of('alone', 'imports'), ({ own }) => (own?.exit_code === 0 ? own.ratio : NaN)), atMost(1.15), (value) => `${times(value)} of its CPU`],
    ['10,000 light clients, relay and all on these cores', 'all converged', crowds.length ? Math.min(...crowds.map(({ own, exit_code }) => (exit_code === 0 ? own.converged / own.rooms : 0))) : null, atLeast(1), (value) => `${percent(value)} of the rooms`],
  ].map(([what, goal, value, holds, format]) => (Number.isFinite(value)
    ? { what, goal, value, shown: format(value), met: holds(value) }
    : { what, goal, value: null, shown: 'not measured', met: null }));
}

// --- Markdown -------------------------------------------------------------------

const round = (value) => {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return value === 0 ? '0' : String(Number(value.toPrecision(value >= 100 ? 4 : 3)));
};
const show = (measured, format = round) => {
  if (!measured) return '–';
  const { value, all } = measured;
  const shown = format(value);
  if (all.length < 2) return shown;
  return `${shown} (${format(Math.min(...all))} to ${format(Math.max(...all))})`;
};
const percent = (value) => `${(value * 100).toFixed(1)} %`;
const kilobytes = (value) => `${round(value / 1000)} kB`;
const times = (value) => (Number.isFinite(value) ? round(Number(value.toPrecision(2))) : '–');

function table(columns, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(columns.map(([name]) => name)), line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row))))].join('\n');
}

const COLUMNS = {
  same: [
    ['tester', (row) => row.tester],
    ['phase', (row) => row.phase],
    ['deliveries', (row) => show(row.deliveries)],
    ['CPU-s / 1M', (row) => show(row.cpu_s_per_million)],
    ['syncbench ÷ it', (row) => times(row.syncbench_cpu_ratio)],
    ['relay CPU-s / 1M', (row) => show(row.relay_cpu_s_per_million)],
    ['sent / scheduled', (row) => show(row.sent_of_scheduled, percent)],
    ['p50 ms', (row) => show(row.p50_ms)],
    ['p99 ms', (row) => show(row.p99_ms)],
    ['RSS / idle connection', (row) => show(row.rss_per_connection, kilobytes)],
    ['syncbench ÷ it', (row) => times(row.syncbench_rss_ratio)],
    ['opened / s', (row) => show(row.opened_per_s)],
    ['relay busy meanwhile', (row) => show(row.relay_busy_while_opening, percent)],
  ],
  saturated: [
    ['tester', (row) => row.tester],
    ['phase', (row) => row.phase],
    ['relay', (row) => row.relay],
    ['received', (row) => show(row.received)],
    ['CPU-s / 1M', (row) => show(row.cpu_s_per_million)],
    ['received / CPU-s', (row) => show(row.per_cpu_s)],
    ['syncbench ÷ it (CPU)', (row) => times(row.syncbench_cpu_ratio)],
    ['relay busy', (row) => show(row.relay_busy, percent)],
    ['sent / scheduled', (row) => show(row.sent_of_scheduled, percent)],
    ['exit code', (row) => row.exit_codes.join(', ')],
  ],
  frozen: [
    ['tester', (row) => row.tester],
    ['work', (row) => row.work],
    ['p50 ms', (row) => show(row.p50_ms)],
    ['p99 ms', (row) => show(row.p99_ms)],
    ['p99 in theory, ms', (row) => show(row.theory_p99_ms)],
  ],
  goals: [
    ['figure', (row) => row.what],
    ['goal', (row) => row.goal],
    ['here', (row) => row.shown],
    ['met', (row) => ({ true: 'yes', false: '**no**', null: '–' })[row.met]],
  ],
};

function work(runs) {
  const [{ clients, rooms, rate, payload }] = runs;
  const seconds = [...new Set(runs.map((run) => run.seconds))].join(' and ');
  return `${clients} clients in ${rooms} rooms, ${rate} messages/s each, ${payload} bytes, ${seconds} s`;
}

function markdown({ rows, runs, goals: held, notes, versions, machine, at }) {
  const of = (section) => runs.filter((run) => run.section === section);
  const parts = [`Measured ${at} by \`scripts/peers.sh\` on ${machine}. ${versions.join('; ')}.`];
  if (rows.same.length) {
    const moderate = of('moderate');
    parts.push(`**The same work**${moderate.length ? `: ${work(moderate)}, on the Node relay` : ''}`, table(COLUMNS.same, rows.same));
  }
  if (rows.saturated.length) parts.push(`**Saturated**: ${work(of('saturated'))}`, table(COLUMNS.saturated, rows.saturated));
  if (rows.frozen.length) {
    const [{ seconds }] = of('frozen');
    parts.push(`**The relay is frozen** for 1 s of ${seconds} s`, table(COLUMNS.frozen, rows.frozen));
  }
  parts.push('**Goals**', table(COLUMNS.goals, held));
  if (notes.length) parts.push(notes.map((note) => `- ${note}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

// What a reader must know of single runs.
function oddities(runs, rows) {
  const said = [];
  for (const run of runs) {
    const name = `${run.tester} (${run.section}, ${run.phase}, ${run.seconds} s, ${run.clients} clients)`;
    if (run.section !== 'idle') {
      if (run.exit_code !== 0) said.push(`${name} ended with exit code ${run.exit_code}${run.own?.verdict ? `: ${run.own.verdict.reasons[0]}` : ''}.`);
      if (!run.own) said.push(`${name} left no report.`);
    } else if (!(run.relay_counts?.opened >= run.clients)) {
      said.push(`${name} opened ${run.relay_counts?.opened ?? 0} connections.`);
    }
  }
  for (const row of rows.same) {
    const counted = row.counted_of_delivered?.value;
    if (counted !== undefined && Math.abs(counted - 1) > 0.005) {
      said.push(`${row.tester} (${row.phase}) counted ${percent(counted)} of what the relay delivered.`);
    }
  }
  return said;
}

function makeTable(folder) {
  const runs = lines(path.join(folder, 'runs.jsonl')).map((line) => JSON.parse(line));
  const rows = summarise(runs);
  const cpus = os.cpus();
  const result = {
    schema: 'syncbench/peers@1',
    at: new Date().toISOString(),
    machine: `${cpus[0]?.model.trim()}, ${cpus.length} CPUs, ${os.type()} ${os.release().split(".", 2).join(".")}, load ${os.loadavg()[0].toFixed(1)} at the end`,
    versions: lines(path.join(folder, 'versions')),
    notes: [...lines(path.join(folder, 'notes')), ...oddities(runs, rows)],
    rows,
    goals: goals(rows, runs),
    runs,
  };
  fs.writeFileSync(path.join(folder, 'peers.json'), `${JSON.stringify(result, null, 1)}\n`);
  const shown = markdown(result);
  fs.writeFileSync(path.join(folder, 'table.md'), shown);
  process.stdout.write(shown);
}

const [, , command, ...rest] = process.argv;
if (command === 'run') addRun(...rest);
else makeTable(...rest);
