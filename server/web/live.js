// What the server is doing now: expert load by layer and modality, and the versions that came and went. Looked at only
// while the panel is open and the page is visible.
import { call } from '/api.js';

const kIntervalMs = 2000;

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
  const response = await call(path);
  if (response.status === 404) throw Object.assign(new Error(`this server has no ${path}`), { notOffered: true });
  if (!response.ok) throw new Error((await response.json()).error.message);
  return response.json();
}

function bar(expert, image, text, most) {
  const label = document.createElement('span');
  label.textContent = `expert ${expert}`;
  const whole = document.createElement('div');
  whole.className = 'bar';
  whole.setAttribute('role', 'img');
  whole.setAttribute('aria-label', `expert ${expert}: ${image} image and ${text} text tokens`);
  whole.title = `${image} image, ${text} text tokens`;
  for (const [kind, count] of [['image', image], ['text', text]]) {
    const part = document.createElement('span');
    part.className = kind;
    part.style.width = `${100 * count / most}%`;
    whole.append(part);
  }
  return [label, whole];
}

function showExperts(root, layers) {
  root.replaceChildren(...layers.flatMap(({ layer, experts }) => {
    const title = document.createElement('strong');
    title.textContent = `layer ${layer}`;
    const bars = document.createElement('div');
    bars.className = 'bars';
    const most = Math.max(1, ...experts.map(e => e.image.tokens + e.text.tokens));
    bars.append(...experts.flatMap(e => bar(e.expert, e.image.tokens, e.text.tokens, most)));
    return [title, bars];
  }));
}

export function watchExperts(details) {
  const status = details.querySelector('[role="status"]');
  const root = details.querySelector('#experts');
  poll(details, async () => {
    try {
      const { layers } = await fetchJson('/v1/experts');
      const total = layers.reduce((sum, l) => sum + l.experts.reduce((s, e) => s + e.image.tokens + e.text.tokens, 0), 0);
      status.textContent = total ? 'Tokens since the start: image (blue) and text (orange).' : 'No token has been routed yet: ask something.';
      showExperts(root, layers);
    } catch (error) {
      status.textContent = error.message;
      return !error.notOffered;
    }
  });
}

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
