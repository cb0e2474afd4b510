// The playground: a picture from anywhere, a question, the answer as it streams; the rest lives in modules of its own.
import { call } from '/api.js';
import { startDrawing, stopDrawing, generatePicture } from '/draw.js';
import { clearExplanation, setUpExplain } from '/explain.js';
import { showSnippet } from '/calls.js';
import { watchExperts, watchVersions } from '/live.js';

const element = id => document.getElementById(id);
const kIdeas = ['what shape is the red object?', 'describe the picture', 'how many objects have the same shape as the blue object?',
                'what colour is the object closest to the green object?', 'is the yellow object on the left or right?'];
const state = { picture: null, question: '', running: null };

function choose(file, name) {
  if (!file) return;
  if (!element('board').hidden && name !== 'drawing.png') setDrawing(false);
  state.picture = new File([file], name || file.name || 'picture.png', { type: file.type });
  const preview = element('preview');
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(state.picture);
  preview.hidden = !element('board').hidden;
  element('hint').hidden = true;
  element('ask').disabled = false;
  forgetAnswer();  // it was about another picture
  showSnippet(state);
}

function forgetAnswer() {
  show('');
  element('facts').hidden = true;
  element('why').hidden = true;
  clearExplanation();
}

function show(text, isError) {
  const answer = element('answer');
  answer.textContent = text;
  answer.classList.toggle('error', Boolean(isError));
}

function showFacts(end) {
  const ms = value => value.toFixed(1);
  const rows = {
    'time': `${ms(end.timings.total_ms)} ms (picture ${ms(end.timings.image_ms)}, reading ${ms(end.timings.prefill_ms)}, ` +
            `answering ${ms(end.timings.decode_ms)})`,
    'tokens': `${end.usage.completion_tokens} answered, ${end.usage.prompt_tokens} read (${end.usage.image_tokens} of the picture, ` +
              `${end.usage.cached_tokens} from the cache)`,
    'experts': `${end.moe.assigned_tokens} assignments, ${end.moe.overflow_tokens} above capacity`,
    'version': `${end.model_version}, ended by ${end.finish_reason}`,
  };
  element('facts').replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
    const term = document.createElement('dt');
    const text = document.createElement('dd');
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  element('facts').hidden = false;
}

// Yields the data of each server-sent event of `response`.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    pending += value;
    const whole = pending.split('\n\n');
    pending = whole.pop();
    for (const event of whole) if (event.startsWith('data: ')) yield event.slice(6);
  }
}

async function ask(signal) {
  const form = new FormData();
  form.append('image', state.picture);
  form.append('question', state.question);
  form.append('stream', 'true');
  const response = await call('/v1/answer', { method: 'POST', body: form, signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let text = '';
  for await (const data of events(response)) {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    if ('delta' in event) show(text += event.delta);
    else { show(event.answer); showFacts(event); element('why').hidden = false; }
  }
}

async function submit(event) {
  event.preventDefault();
  if (!state.picture || state.running) return;
  state.question = element('question').value.trim() || element('question').placeholder;
  state.running = new AbortController();
  element('ask').disabled = true;
  element('stop').hidden = false;
  forgetAnswer();
  showSnippet(state);
  try {
    await ask(state.running.signal);
  } catch (error) {
    if (error.name !== 'AbortError') show(error.message, true);
  } finally {
    state.running = null;
    element('ask').disabled = false;
    element('stop').hidden = true;
  }
}

async function showModel() {
  try {
    const [model] = (await (await call('/v1/models')).json()).data;
    element('model').textContent = model
        ? `${model.id} · version ${model.version} · ${(model.num_parameters / 1e6).toFixed(1)} M parameters · ${model.num_experts} experts`
        : 'no model is published yet';
  } catch {
    element('model').textContent = 'the server does not answer';
  }
}

function setDrawing(on) {
  element('draw').setAttribute('aria-pressed', String(on));
  element('board').hidden = !on;
  element('tools').hidden = !on;
  element('hint').hidden = on || Boolean(state.picture);
  element('preview').hidden = on || !state.picture;
  if (on) startDrawing(element('board'), element('tools'), blob => choose(blob, 'drawing.png'));
  else stopDrawing(element('board'));
  forgetAnswer();
}

function addIdeas() {
  element('ideas').append(...kIdeas.map(text => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.addEventListener('click', () => {
      element('question').value = text;
      if (state.picture) element('form').requestSubmit();
    });
    return button;
  }));
}

function acceptPictures() {
  // A picture dropped beside the frame must not make the browser leave the page.
  for (const kind of ['dragover', 'drop']) window.addEventListener(kind, event => event.preventDefault());
  const stage = element('stage');
  stage.addEventListener('dragover', () => stage.classList.add('over'));
  stage.addEventListener('dragleave', () => stage.classList.remove('over'));
  stage.addEventListener('drop', event => {
    stage.classList.remove('over');
    choose(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', event => choose(event.clipboardData.files[0]));
  element('choose').addEventListener('click', () => element('file').click());
  element('file').addEventListener('change', event => choose(event.target.files[0]));
  element('draw').addEventListener('click', () => setDrawing(element('board').hidden));
  element('generate').addEventListener('click', async () => choose(await generatePicture(), 'generated.png'));
}

acceptPictures();
addIdeas();
element('form').addEventListener('submit', submit);
element('stop').addEventListener('click', () => state.running && state.running.abort());
setUpExplain(state);
showSnippet(state);
showModel();
watchExperts(element('experts-card'));
watchVersions(element('versions-card'), showModel);
