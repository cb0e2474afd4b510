// What the server is doing now: expert load by layer and modality over the last minute, and the versions that came and
// went. Looked at only while the panel is open and the page is visible.
import { call, errorOf } from '/api.js';

const kIntervalMs = 2000;
const kWindowMs = 60_000;
const kFewestTokens = 16;  // an expert, before one without any is called dead
const kMostRows = 16;      // of a layer: the busiest

// `refresh` gives false where the server does not have what it asks for: it is not asked again.
function poll(details, refresh) {
  let offered = true;
  const tick = async () => {
    if (offered && details.open && !document.hidden) offered = await refresh() !== false;
  };
  details.addEventListener('toggle', tick);
  setInterval(tick, kIntervalMs);
}

async function fetchJson(path) {
  const response = await call(path, {}, { quiet: true });
  if (response.status === 404) throw Object.assign(new Error(`this server has no ${path}`), { notOffered: true });
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

// --- expert load ---

let snapshots = [];  // {at, version, layers}, the oldest first

function keep({ model_version: version, layers }) {
  const at = Date.now();
  if (snapshots.length && snapshots.at(-1).version !== version) snapshots = [];  // other experts
  snapshots.push({ at, version, layers });
  // One that is a minute old is kept to begin with.
  while (snapshots.length > 2 && at - snapshots[1].at >= kWindowMs) snapshots.shift();
}

// What each expert got between two looks: [{layer, experts: [{expert, image, text}]}].
function between(before, after) {
  return after.map(({ layer, experts }, l) => ({
    layer,
    experts: experts.map((now, e) => {
      const then = before?.[l]?.experts[e];
      return { expert: now.expert, image: now.image.tokens - (then?.image.tokens ?? 0), text: now.text.tokens - (then?.text.tokens ?? 0) };
    }),
  }));
}

const load = expert => expert.image + expert.text;
const total = experts => experts.reduce((sum, expert) => sum + load(expert), 0);

function bar({ expert, image, text }, most, even, isDead) {
  const label = document.createElement('span');
  label.textContent = `expert ${expert}`;
  if (isDead) {
    const mark = document.createElement('em');
    mark.className = 'dead';
    mark.textContent = 'dead';
    label.append(' ', mark);
  }
  const whole = document.createElement('div');
  whole.className = 'bar';
  whole.setAttribute('role', 'img');
  const times = even > 0 ? `, ${((image + text) / even).toFixed(1)} times an even load` : '';
  whole.setAttribute('aria-label', `expert ${expert}: ${image} image and ${text} text tokens${times}${isDead ? ', dead' : ''}`);
  whole.title = `${image} image, ${text} text tokens${times}`;
  for (const [kind, count] of [['image', image], ['text', text]]) {
    const part = document.createElement('span');
    part.className = kind;
    part.style.width = `${100 * count / most}%`;
    whole.append(part);
  }
  if (even > 0) {
    const line = document.createElement('i');
    line.className = 'even';
    line.style.left = `${100 * even / most}%`;
    whole.append(line);
  }
  return [label, whole];
}

function layerTitle(layer, experts, dead, even) {
  const hottest = experts.reduce((a, b) => load(b) > load(a) ? b : a);
  const title = document.createElement('strong');
  title.textContent = `layer ${layer}`;
  const said = document.createElement('span');
  said.className = 'note';
  if (even > 0) {
    said.textContent = ` hottest: expert ${hottest.expert}, ${(load(hottest) / even).toFixed(1)} times an even load` +
        (dead.size ? `; ${dead.size} dead` : '');
  }
  const line = document.createElement('div');
  line.append(title, said);
  return line;
}

function showLayer({ layer, experts }) {
  if (!experts.length) return [];  // dense
  const even = total(experts) / experts.length;
  const dead = new Set(even >= kFewestTokens ? experts.filter(expert => load(expert) === 0) : []);
  const shown = experts.length <= kMostRows ? experts : [...experts].sort((a, b) => load(b) - load(a)).slice(0, kMostRows);
  const most = Math.max(1, 1.1 * even, ...shown.map(load));
  const bars = document.createElement('div');
  bars.className = 'bars';
  bars.append(...shown.flatMap(expert => bar(expert, most, even, dead.has(expert))));
  if (shown.length < experts.length) {
    const rest = document.createElement('span');
    rest.className = 'note rest';
    rest.textContent = `and ${experts.length - shown.length} experts with less`;
    bars.append(rest);
  }
  return [layerTitle(layer, experts, dead, even), bars];
}

function showExperts(status, root, sinceStart) {
  const now = snapshots.at(-1), before = sinceStart ? null : snapshots[0];
  const layers = between(before?.layers, now.layers);
  const seconds = before ? Math.round((now.at - before.at) / 1000) : 0;
  const when = sinceStart ? 'since the start' : seconds > 90 ? `of the last ${Math.round(seconds / 60)} minutes` : `of the last ${seconds} s`;
  const any = layers.some(({ experts }) => total(experts) > 0);
  status.textContent = any ? `Tokens ${when}: image (blue) and text (orange). The line is an even load.`
                           : `No token was routed ${sinceStart ? 'yet' : 'in the last minute'}: ask something.`;
  root.replaceChildren(...(any ? layers.flatMap(showLayer) : []));
}

export function watchExperts(details) {
  const status = details.querySelector('[role="status"]');
  const root = details.querySelector('#experts');
  const span = details.querySelector('#span');
  const look = async () => keep(await fetchJson('/v1/experts'));
  const show = () => snapshots.length && showExperts(status, root, span.value === 'start');
  span.addEventListener('change', show);
  poll(details, async () => {
    try {
      await look();
      show();
    } catch (error) {
      status.textContent = error.message;
      return !error.notOffered;
    }
  });
  // Where the minute begins if the panel is opened within it.
  return look().catch(() => {});
}

// --- versions ---

export function watchVersions(details, onChange) {
  const root = details.querySelector('#versions');
  let served = null;
  poll(details, async () => {
    try {
      const { data } = await fetchJson('/v1/versions');
      const table = document.createElement('table');
      const head = table.createTHead().insertRow();
      for (const title of ['version', 'state', 'step', 'score', 'reason']) {
        const cell = document.createElement('th');
        cell.scope = 'col';
        cell.textContent = title;
        head.append(cell);
      }
      const body = table.createTBody();
      for (const version of data) {
        const row = body.insertRow();
        for (const key of ['version', 'state', 'step', 'score', 'reason']) {
          const value = version[key] ?? '';
          row.insertCell().textContent = key === 'score' && value !== '' ? Number(value).toFixed(4) : value;
        }
      }
      root.replaceChildren(table);
      const now = data.find(version => version.state === 'served')?.version;
      if (served !== null && now !== served) onChange();
      served = now;
    } catch (error) {
      root.textContent = error.message;
      return !error.notOffered;
    }
  });
}
