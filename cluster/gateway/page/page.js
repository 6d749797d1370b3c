// Shows what the node sees of the cluster. It comes as server-sent events, each with
// the whole picture; what is drawn of it stays where it is, so that nothing jumps and the
// keyboard keeps its place.
import { h, s, say, renew, number, short, bytes, millis, clock, ago, Chart } from './draw.js';

const $ = (id) => document.getElementById(id);
const silence = 3000; // milliseconds without a picture after which the connection is lost
const again = 1000; // between two tries to connect

const charts = {
  throughput: new Chart('Commands executed a second', short),
  latency: new Chart('Latency of requests, at all nodes', millis, true),
  sync: new Chart('fsync of the journal, p99', millis, true),
};
$('charts').append(...Object.values(charts).map((c) => c.element));

let picture = null; // the last
let heard = Date.now(); // when it came
let source = null;
const cards = new Map(); // by node

function connect() {
  source = new EventSource('/page/events');
  source.onmessage = (event) => {
    heard = Date.now();
    picture = JSON.parse(event.data);
    draw(picture);
    found();
  };
  source.onerror = async () => {
    lost();
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    lost(await refusal());
    setTimeout(connect, again);
  };
}

// refusal is what the node says instead of sending events, which an EventSource keeps to
// itself.
async function refusal() {
  const asking = new AbortController();
  try {
    const answer = await fetch('/page/events', { signal: asking.signal });
    return answer.ok ? '' : await answer.text();
  } catch {
    return '';
  } finally {
    asking.abort();
  }
}

// A node that hangs keeps its connections, and says nothing.
setInterval(() => { if (Date.now() - heard > silence) lost(); }, 500);

// lost says that this node says nothing, and where there are others.
function lost(refusal = '') {
  const from = picture?.from ?? 'the node';
  const others = (picture?.nodes ?? []).filter((n) => n.page && n.reachable && n.name !== from);
  document.body.classList.add('stale');
  for (const chart of Object.values(charts)) chart.gap(Date.now());
  renew($('lost'), [from, heard, refusal], () => [
    refusal ? `${from} shows nothing: ${refusal.trim()}. ` : `Connection to ${from} lost since ${clock(heard)}. What stands here is old. `,
    'The page tries again by itself.',
    ...(others.length ? [' The same page at ', ...others.flatMap((n, i) => [...(i ? [', '] : []), h('a', { href: n.page }, n.name)]), '.'] : []),
  ]);
  $('lost').hidden = false;
}

function found() {
  document.body.classList.remove('stale');
  $('lost').hidden = true;
}

function draw(c) {
  say($('cluster'), `cluster ${c.name}, seen from ${c.from}`);
  document.title = `${c.leader || 'nobody'} leads ${c.name} – pmmc`;
  drawSummary(c);
  renew($('warnings'), c.warnings, () => c.warnings.map((w) => h('li', {}, w)));
  $('warnings').hidden = c.warnings.length === 0;
  drawCards(c);
  drawCharts(c);
  drawDecrees(c);
  drawChanges(c);
  renew($('epoch'), [c.epoch, c.first, c.window], () => [h('b', {}, `Epoch ${c.epoch}`), `, from slot ${number(c.first)} on, with a window of ${c.window} slots`]);
  renew($('members'), c.members, () => c.members.map((m) => h('tr', {},
    h('td', { class: 'n' }, m.id), h('td', {}, m.name), h('td', {}, m.roles.join(', ')), h('td', {}, m.peer), h('td', {}, m.client))));
}

// facts shows pairs of words and values, of which only what changed is touched.
function facts(list, pairs) {
  while (list.children.length < pairs.length) list.append(h('div', {}, h('dt'), h('dd')));
  pairs.forEach(([word, value, more], i) => {
    const [dt, dd] = list.children[i].children;
    say(dt, word);
    renew(dd, [value, more], () => more ? [value, h('small', {}, more)] : [value]);
  });
}

function drawSummary(c) {
  const reached = c.nodes.filter((n) => n.reachable).length;
  facts($('summary'), [
    ['In office', c.leader || 'nobody', c.leader ? `ballot ${c.ballot || '–'}${c.since ? `, for ${ago(c.at - c.since)}` : ''}` : ''],
    ['Nodes', `${reached} of ${c.nodes.length}`, 'can be reached'],
    ['Decided', number(Math.max(0, ...c.nodes.map((n) => n.slot_out - 1))), 'slots'],
    ['Throughput', short(c.commands_rate), 'commands a second'],
    ['Latency', c.latency ? millis(c.latency.p50) : '–', c.latency ? `median; p99 ${millis(c.latency.p99)}` : 'no requests'],
  ]);
}

function drawCards(c) {
  c.nodes.forEach((n, i) => {
    if (!cards.has(n.name)) cards.set(n.name, newCard(n.name));
    const card = cards.get(n.name);
    if ($('cards').children[i] !== card.element) $('cards').insertBefore(card.element, $('cards').children[i] ?? null);
    drawCard(card, n, c);
  });
  for (const [name, card] of cards) {
    if (!c.nodes.some((n) => n.name === name)) {
      card.element.remove();
      cards.delete(name);
    }
  }
}

function newCard(name) {
  const id = `node-${name}`;
  const card = {
    state: h('span', { class: 'state' }), page: h('a', {}, 'its page'), why: h('p', { class: 'why' }),
    facts: h('dl', { class: 'facts' }), strip: h('div', { class: 'strip' }), tree: h('div', { class: 'tree' }), peers: h('p', { class: 'peers' }),
  };
  card.body = h('div', { class: 'body' }, card.facts, card.strip, card.tree, card.peers);
  card.element = h('article', { class: 'card', 'aria-labelledby': id, 'data-node': name },
    h('h3', {}, h('span', { id }, name), card.state, card.page), card.why, card.body);
  return card;
}

function drawCard(card, n, c) {
  const office = n.reachable && n.name === c.leader;
  card.element.className = `card${office ? ' office' : ''}${n.reachable ? '' : ' away'}`;
  say(card.state, !n.reachable ? 'cannot be reached' : office ? 'in office' : n.restoring ? 'is sent a snapshot' : n.ready ? n.standing || 'ready' : 'not ready');
  card.page.hidden = !n.page || n.name === c.from || !n.reachable;
  if (n.page && card.page.href !== n.page) card.page.href = n.page;
  card.page.setAttribute('aria-label', `the page of ${n.name}`);
  card.why.hidden = n.reachable;
  say(card.why, n.reachable ? '' : `${n.error}, since ${clock(n.since)} (${ago(c.at - n.since)})`);
  facts(card.facts, [
    ['Ballot', n.ballot || '⊥'], ['Promised', n.promised || '⊥'], ['Commanders', n.commanders],
    ['Lag', n.lag ? `${number(n.lag)} slots` : 'none'], ['fsync', n.sync ? millis(n.sync.p50) : '–'], ['Latency', n.latency ? millis(n.latency.p50) : '–'],
    ['On disk', number(Math.max(0, n.durable - 1))], ['Journal', bytes(n.journal_bytes)], ['Database', bytes(n.database_bytes)],
  ]);
  drawStrip(card.strip, n, c.window);
  card.peers.hidden = !n.peers?.length;
  say(card.peers, `Round trips: ${(n.peers ?? []).map((p) => `${p.name} ${!p.connected ? 'no connection' : p.round_trip ? millis(p.round_trip) : '–'}`).join(', ')}`);
  renew(card.tree, [n.actors, n.scouts, n.commanders, office, n.restarts], () => [tree(n, office)]);
}

// drawStrip shows the window of a node's replica: slots that are proposed and not
// executed, and those that may be.
function drawStrip(strip, n, window) {
  strip.hidden = !n.slot_out || !window;
  if (strip.hidden) return;
  const part = Math.min(1, (n.slot_in - n.slot_out) / window);
  if (!strip.bar) {
    strip.bar = s('rect', { class: 'flying', x: 0, y: 0, height: 16 });
    strip.picture = s('svg', { role: 'img' }, s('rect', { class: 'rest', x: 0, y: 0, width: '100%', height: 16, rx: 4 }), strip.bar);
    strip.ends = h('div', { class: 'ends' });
    strip.append(strip.picture, strip.ends);
  }
  strip.bar.setAttribute('width', `${Math.max(part * 100, part ? 1 : 0)}%`);
  strip.picture.setAttribute('aria-label', `window: ${n.slot_in - n.slot_out} of ${window} slots are in flight`);
  renew(strip.ends, [n.slot_out, n.slot_in, window], () => [
    h('span', {}, 'slot_out ', h('b', {}, number(n.slot_out))),
    h('span', {}, 'slot_in ', h('b', {}, number(n.slot_in))),
    h('span', {}, '+ WINDOW ', h('b', {}, number(n.slot_out + window))),
  ]);
}

// tree draws the actors of a node, each below the one that supervises it.
function tree(n, office) {
  const root = { children: new Map() };
  for (const path of n.actors ?? []) {
    let at = root;
    for (const name of path.split('/')) {
      if (!at.children.has(name)) at.children.set(name, { children: new Map() });
      at = at.children.get(name);
    }
  }
  const list = (of) => h('ul', {}, ...[...of.children].map(([name, child]) => {
    const label = h('span', office && name === 'leader' ? { class: 'lead' } : {}, name);
    const item = h('li', {}, label);
    const grown = new Map([...child.children].filter(([k]) => !k.startsWith('commander-')));
    const flying = [...child.children.keys()].filter((k) => k.startsWith('commander-'));
    if (flying.length) grown.set(`commander × ${n.commanders}`, { children: new Map() });
    if (grown.size) item.append(list({ children: grown }));
    return item;
  }));
  const restarts = n.restarts ? h('small', {}, `  ${n.restarts} restarted after a panic`) : '';
  return h('div', { role: 'group', 'aria-label': `the actors of ${n.name}` }, 'node', restarts, list(root));
}

function drawCharts(c) {
  const small = (text) => h('small', {}, ` ${text}`);
  charts.throughput.add('all', 'c1', c.at, c.commands_rate);
  charts.throughput.draw(c.at, short(c.commands_rate), small('a second'));
  charts.latency.add('median', 'c1', c.at, c.latency?.p50 ?? null);
  charts.latency.add('p99', 'c1 light', c.at, c.latency?.p99 ?? null);
  charts.latency.draw(c.at, c.latency ? millis(c.latency.p50) : '–', small(c.latency ? `median, p99 ${millis(c.latency.p99)}` : 'no requests'));
  c.nodes.forEach((n, i) => charts.sync.add(n.name, `c${1 + i % 5}`, c.at, n.sync?.p99 ?? null));
  const slowest = c.nodes.filter((n) => n.sync).sort((a, b) => b.sync.p99 - a.sync.p99)[0];
  charts.sync.draw(c.at, slowest ? millis(slowest.sync.p99) : '–', small(slowest ? `at ${slowest.name}, the slowest` : 'no writes'));
}

let newest = 0; // slot that is drawn
function drawDecrees(c) {
  const before = newest;
  if (!renew($('decrees'), c.decrees, () => c.decrees.map((d) => h('tr', { class: `kind-${d.kind}${before && d.slot > before && c.decrees[0].slot - before < 8 ? ' fresh' : ''}` },
    h('td', { class: 'n' }, number(d.slot)), h('td', { class: 'n' }, d.ballot), h('td', {}, d.kind),
    h('td', { class: 'n' }, number(d.commands)), h('td', { class: 'n' }, number(d.bytes)))))) return;
  newest = c.decrees[0]?.slot ?? 0;
}

// drawChanges adds what is new on top, so that only that is read aloud.
function drawChanges(c) {
  const list = $('changes');
  const key = (x) => `${x.ballot} ${x.leader} ${x.text}`;
  const wanted = new Map(c.changes.map((x) => [key(x), x]));
  for (const item of [...list.children]) if (!wanted.has(item.dataset.key)) item.remove();
  const there = new Map([...list.children].map((item) => [item.dataset.key, item]));
  let place = list.firstChild;
  for (const [k, x] of wanted) {
    if (there.has(k)) {
      place = there.get(k).nextSibling;
      continue;
    }
    list.insertBefore(h('li', { 'data-key': k }, h('time', { datetime: new Date(x.at).toISOString() }, clock(x.at)),
      h('span', {}, x.text), h('span', { class: 'ballot' }, `ballot ${x.ballot}, epoch ${x.epoch}`)), place);
  }
  if (!c.changes.length && !list.children.length) list.append(h('li', { class: 'none' }, 'none that these nodes remember'));
}

// The colours follow the system until they are chosen.
const theme = $('theme');
function showTheme() { theme.setAttribute('aria-pressed', document.documentElement.dataset.theme === 'dark'); }
theme.addEventListener('click', () => {
  const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem('pmmc-theme', next); } catch { /* then it is for now */ }
  showTheme();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (event) => {
  let chosen = null;
  try { chosen = localStorage.getItem('pmmc-theme'); } catch { /* none, then */ }
  if (chosen) return;
  document.documentElement.dataset.theme = event.matches ? 'dark' : 'light';
  showTheme();
});
showTheme();
connect();
