// "Why this answer?": POST /v1/explain, drawn over the picture. Heatmaps by answer token, patches coloured by their first
// expert, the logit lens as a table.
import { call, errorOf } from '/api.js';

const element = id => document.getElementById(id);
const kExpertColours = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#bbbbbb', '#994f00', '#006cd1', '#1aff1a'];

let state = null;
let explanation = null;
let token = 0;

export function clearExplanation() {
  explanation = null;
  token = 0;
  for (const id of ['overlay', 'tokens', 'legend', 'lens', 'view-label']) element(id).hidden = true;
  element('layer-label').hidden = true;
  element('why-status').textContent = '';
}

async function fetchExplanation() {
  const form = new FormData();
  form.append('image', state.picture);
  form.append('question', state.question);
  form.append('method', element('method').value);
  if (byLayer()) form.append('layer', element('layer').value || '-1');
  const response = await call('/v1/explain', { method: 'POST', body: form });
  if (response.status === 404) throw new Error('this server does not explain');
  if (!response.ok) throw await errorOf(response);
  return response.json();
}

const byExpert = () => element('view').value === 'experts';
const byLayer = () => !byExpert() && element('method').value === 'attention';

async function explain() {
  element('explain').disabled = true;
  element('why-status').className = '';
  element('why-status').textContent = 'looking…';
  try {
    explanation = await fetchExplanation();
    if (token >= explanation.tokens.length) token = 0;
    element('why-status').textContent = '';
    fillLayers();
    showTokens();
    draw();
  } catch (error) {
    clearExplanation();
    element('why-status').className = 'error';
    element('why-status').textContent = error.message;
  } finally {
    element('explain').disabled = false;
  }
}

function fillLayers() {
  const numLayers = explanation.experts.tokens.length ? explanation.experts.tokens[0].ids.length : 0;
  const chosen = element('layer').value;
  const names = Array.from({ length: numLayers }, (_, layer) => String(layer));
  element('layer').replaceChildren(...(byExpert() ? [] : [new Option('all', '-1')]), ...names.map(name => new Option(name, name)));
  if ([...element('layer').options].some(option => option.value === chosen)) element('layer').value = chosen;
  element('view-label').hidden = false;
  element('layer-label').hidden = !byExpert() && !byLayer();
}

function showTokens() {
  element('tokens').replaceChildren(...explanation.tokens.map((answer, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = answer.text.trim() || '␣';
    button.title = `probability ${Math.exp(answer.logprob).toFixed(3)}`;
    button.setAttribute('aria-pressed', String(i === token));
    button.addEventListener('click', () => { token = i; showTokens(); draw(); });
    return button;
  }));
  element('tokens').hidden = false;
}

// The rectangle of every cell in the picture's own pixels: the picture sits centred in the grid.
function cells(width, height, [rows, columns]) {
  const size = Math.max(width / columns, height / rows);
  const left = (width - columns * size) / 2, top = (height - rows * size) / 2;
  return Array.from({ length: rows * columns }, (_, i) => (
      { x: left + (i % columns) * size, y: top + Math.floor(i / columns) * size, size }));
}

function prepareOverlay() {
  const preview = element('preview'), overlay = element('overlay');
  const shown = element('board').hidden ? preview : element('board');
  const box = shown.getBoundingClientRect(), stage = element('stage').getBoundingClientRect();
  const natural = { width: explanation.image.width, height: explanation.image.height };
  const scale = Math.min(box.width / natural.width, box.height / natural.height);
  overlay.width = Math.round(natural.width * scale);
  overlay.height = Math.round(natural.height * scale);
  overlay.style.left = `${box.left - stage.left + (box.width - overlay.width) / 2}px`;
  overlay.style.top = `${box.top - stage.top + (box.height - overlay.height) / 2}px`;
  overlay.hidden = false;
  return overlay.getContext('2d');
}

// Dark violet over red to yellow, more opaque where hotter.
function heatColour(share) {
  const stops = [[30, 10, 90], [190, 40, 90], [250, 150, 40], [255, 250, 160]];
  const at = share * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
  const mixed = stops[low].map((value, i) => Math.round(value + (stops[low + 1][i] - value) * (at - low)));
  return `rgba(${mixed.join(',')},${0.25 + 0.5 * share})`;
}

function drawHeatmap(context) {
  const { heatmap } = explanation.tokens[token];
  const hottest = Math.max(...heatmap, 1e-12);
  cells(context.canvas.width, context.canvas.height, explanation.image.grid).forEach(({ x, y, size }, i) => {
    context.fillStyle = heatColour(heatmap[i] / hottest);
    context.fillRect(x, y, size + 0.5, size + 0.5);
  });
  element('legend').textContent =
      `Brighter patches weighed more for “${explanation.tokens[token].text.trim()}” (${explanation.method}).`;
}

const expertColour = expert => kExpertColours[expert % kExpertColours.length];

function drawExperts(context) {
  const layer = Number(element('layer').value);
  const patches = explanation.experts.tokens.filter(entry => entry.modality === 'image');
  const counts = new Map();
  cells(context.canvas.width, context.canvas.height, explanation.image.grid).forEach(({ x, y, size }, i) => {
    if (!patches[i]) return;
    const [expert] = patches[i].ids[layer];
    counts.set(expert, (counts.get(expert) || 0) + 1);
    context.fillStyle = expertColour(expert);
    context.globalAlpha = 0.55;
    context.fillRect(x, y, size - 1, size - 1);
    context.globalAlpha = 1;
    context.fillStyle = '#000';
    context.font = `${Math.max(9, size / 3)}px system-ui`;
    context.fillText(String(expert), x + size * 0.1, y + size * 0.4);
  });
  element('legend').replaceChildren(...[...counts].sort((a, b) => a[0] - b[0]).map(([expert, count]) => {
    const entry = document.createElement('span');
    const mark = document.createElement('i');
    mark.style.background = expertColour(expert);
    entry.append(mark, `expert ${expert}: ${count} patches`);
    return entry;
  }));
}

// Rows of the lens that belong to the chosen token.
const lensRows = () => explanation.logit_lens.filter(row => row.answer_token === token);

function showLens() {
  const rows = lensRows();
  element('lens').hidden = rows.length === 0;
  if (!rows.length) return;
  const table = document.createElement('table');
  table.createCaption().textContent = 'What each layer would have said (logit lens)';
  const head = table.createTHead().insertRow();
  for (const title of ['layer', 'guesses', 'rank of the answer']) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { layer, top, answer_rank: rank } of rows) {
    const row = body.insertRow();
    row.insertCell().textContent = layer;
    row.insertCell().textContent = top.slice(0, 4).map(guess => `${guess.token.trim() || '␣'} ${(100 * guess.prob).toFixed(0)} %`).join(', ');
    row.insertCell().textContent = rank;
  }
  element('lens').replaceChildren(table);
}

function draw() {
  if (!explanation || !explanation.tokens.length) return;
  const context = prepareOverlay();
  if (byExpert()) drawExperts(context);
  else drawHeatmap(context);
  element('legend').hidden = false;
  showLens();
}

export function setUpExplain(newState) {
  state = newState;
  element('explain').addEventListener('click', explain);
  element('method').addEventListener('change', () => explanation && explain());
  element('view').addEventListener('change', () => { if (explanation) { fillLayers(); draw(); } });
  element('layer').addEventListener('change', () => { if (byLayer() && explanation) explain(); else draw(); });
  addEventListener('resize', draw);
}
