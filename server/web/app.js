// The playground: an image from anywhere, a question, the answer as it streams; the rest lives in modules of its own.
import { call, errorOf } from '/api.js';
import { startDrawing, stopDrawing, generatePicture } from '/draw.js';
import { clearExplanation, setUpExplain } from '/explain.js';
import { describeServer, showSnippet } from '/calls.js';
import { remember } from '/history.js';
import { watchExperts, watchVersions } from '/live.js';

const element = id => document.getElementById(id);
const kIdeas = ['what shape is the red object?', 'describe the picture', 'how many objects have the same shape as the blue object?',
                'what colour is the object closest to the green object?', 'is the yellow object on the left or right?'];
const kSample = { path: '/scene.png', name: 'scene.png', question: kIdeas[0] };
const state = { picture: null, question: '', running: null };
let pictureBeforeDrawing = null;

function choose(file, name) {
  if (!file) return;
  state.running?.abort();  // it is about another image
  if (!element('board').hidden && name !== 'drawing.png') setDrawing(false);
  state.picture = new File([file], name || file.name || 'picture.png', { type: file.type });
  const preview = element('preview');
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(state.picture);
  preview.hidden = !element('board').hidden;
  element('hint').hidden = true;
  element('ask').disabled = false;
  forgetAnswer();  // it was about another image
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
  if (!response.ok) throw await errorOf(response);
  let text = '', end = null;
  for await (const data of events(response)) {
    if (data === '[DONE]') return end;
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    if ('delta' in event) show(text += event.delta);
    else end = event;
  }
}

function showEnd(end) {
  show(end.answer);
  showFacts(end);
  element('why').hidden = false;
}

// An earlier question with its image and its answer.
function restore({ picture, question, end }) {
  choose(picture, picture.name);
  element('question').value = state.question = question;
  showEnd(end);
  showSnippet(state);
}

async function submit(event) {
  event?.preventDefault();
  if (!state.picture || state.running) return;
  state.question = element('question').value.trim() || element('question').placeholder;
  state.running = new AbortController();
  element('ask').disabled = true;
  element('stop').hidden = false;
  forgetAnswer();
  showSnippet(state);
  try {
    const { picture, question } = state;
    const end = await ask(state.running.signal);
    if (!end) throw new Error('the connection was cut before the answer ended');
    showEnd(end);
    remember({ picture, question, answer: end.answer, end }, restore);
  } catch (error) {
    if (error.name !== 'AbortError') show(error.message, true);
  } finally {
    state.running = null;
    element('ask').disabled = false;
    element('stop').hidden = true;
  }
}

// The model that answers; nothing if there is none.
async function showModel() {
  try {
    const response = await call('/v1/models');
    if (!response.ok) throw await errorOf(response);
    const [model] = (await response.json()).data;
    element('model').textContent = model
        ? `${model.id} · version ${model.version} · ${(model.num_parameters / 1e6).toFixed(1)} M parameters · ${model.num_experts} experts`
        : 'no model is published yet';
    if (model) describeServer({ model: model.id });
    return model;
  } catch (error) {
    element('model').textContent = error instanceof TypeError ? 'the server does not answer' : error.message;
    return null;
  }
}

async function learnPorts() {
  const response = await fetch('/page.json');
  if (response.ok) describeServer({ grpcPort: (await response.json()).grpc_port ?? 0 });
}

// A first answer to look at, unless the user was quicker.
async function askSample() {
  const response = await fetch(kSample.path);
  if (!response.ok || state.picture || !element('board').hidden) return;
  choose(await response.blob(), kSample.name);
  element('question').value = kSample.question;
  await submit();
}

// Links that need the key: a browser follows a link without one.
function openWithKey(link) {
  link.addEventListener('click', async event => {
    if (!sessionStorage.getItem('key')) return;
    event.preventDefault();
    const response = await call(link.getAttribute('href'));
    open(URL.createObjectURL(await response.blob()), '_blank');
  });
}

function setDrawing(on) {
  // An empty board is no image; what was there before comes back if nothing is drawn.
  if (on) [pictureBeforeDrawing, state.picture] = [state.picture, null];
  else state.picture ??= pictureBeforeDrawing;
  element('ask').disabled = !state.picture;
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
learnPorts();
showModel().then(async model => {
  await watchExperts(element('experts-card'));  // its first look comes before the sample's tokens
  if (model && model.image_tokens !== 0) await askSample();  // 0: it reads text alone
});
openWithKey(element('openapi'));
watchVersions(element('versions-card'), showModel);
