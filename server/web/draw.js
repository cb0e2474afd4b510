// Pictures made here: a board to place shapes on, and random scenes of the kind that the model was trained on.
const kColours = { red: '#ff0000', green: '#008000', blue: '#0000ff', orange: '#ffa500', grey: '#808080', yellow: '#ffff00' };
const kHalf = 26;  // of a shape on the board, in its pixels

let shape = 'circle';
let colour = 'red';
let placed = [];
let report = () => {};

function paint(context, objects, half) {
  for (const { x, y, kind, paintColour } of objects) {
    context.fillStyle = kColours[paintColour];
    context.beginPath();
    if (kind === 'circle') context.arc(x, y, half, 0, 2 * Math.PI);
    else context.rect(x - half, y - half, 2 * half, 2 * half);
    context.fill();
  }
}

function repaint(board) {
  const context = board.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, board.width, board.height);
  paint(context, placed, kHalf);
  if (placed.length) board.toBlob(report, 'image/png');
}

function place(board, x, y) {
  placed = placed.filter(object => object.paintColour !== colour);  // one object a colour, as in the task
  placed.push({ x, y, kind: shape, paintColour: colour });
  repaint(board);
}

function toolButton(label, isPressed, onClick, background) {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', String(isPressed));
  button.setAttribute('aria-label', label);
  if (background) {
    button.className = 'swatch';
    button.style.background = background;
  } else {
    button.textContent = label;
  }
  button.addEventListener('click', onClick);
  return button;
}

function showTools(board, tools) {
  const again = () => showTools(board, tools);
  const clear = toolButton('clear', false, () => { placed = []; repaint(board); });
  clear.removeAttribute('aria-pressed');
  tools.replaceChildren(
      ...['circle', 'square'].map(kind => toolButton(kind, kind === shape, () => { shape = kind; again(); })),
      ...Object.entries(kColours).map(([name, css]) => toolButton(name, name === colour, () => { colour = name; again(); }, css)),
      clear);
}

function onPointer(event) {
  const board = event.currentTarget;
  const box = board.getBoundingClientRect();
  const scale = board.width / box.width;
  place(board, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
}

// The keyboard places the chosen shape on a free spot.
function onKey(event) {
  if (event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  const board = event.currentTarget;
  const [spot] = freeSpots(board.width, board.height, kHalf, 1, placed.filter(object => object.paintColour !== colour));
  if (spot) place(board, spot.x, spot.y);
}

// `count` centres whose shapes touch neither each other nor `taken`.
function freeSpots(width, height, half, count, taken = []) {
  const spots = [];
  for (let tries = 0; tries < 2000 && spots.length < count; ++tries) {
    const spot = { x: half + Math.random() * (width - 2 * half), y: half + Math.random() * (height - 2 * half) };
    const clear = [...taken, ...spots].every(other => Math.hypot(other.x - spot.x, other.y - spot.y) > 3 * half);
    if (clear) spots.push(spot);
  }
  return spots;
}

// Calls `onPicture` with a PNG blob after every change.
export function startDrawing(board, tools, onPicture) {
  report = onPicture;
  board.tabIndex = 0;
  board.onpointerdown = onPointer;
  board.onkeydown = onKey;
  showTools(board, tools);
  repaint(board);
}

export function stopDrawing(board) {
  report = () => {};
  board.onpointerdown = board.onkeydown = null;
}

// Six objects, a colour each, in random places: a PNG blob.
export function generatePicture() {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 384;
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  const names = Object.keys(kColours);
  const objects = freeSpots(canvas.width, canvas.height, kHalf, names.length).map((spot, i) => (
      { ...spot, kind: Math.random() < 0.5 ? 'circle' : 'square', paintColour: names[i] }));
  paint(context, objects, kHalf);
  return new Promise(resolve => canvas.toBlob(resolve, 'image/png'));
}
