'use strict';

const element = id => document.getElementById(id);
let picture = null;     // the File to ask about
let running = null;     // AbortController of the question in flight

function choose(file) {
  if (!file) return;
  picture = file;
  const preview = element('preview');
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.hidden = false;
  element('hint').hidden = true;
  element('ask').disabled = false;
  show('', false);  // the old answer was about another picture
  element('facts').hidden = true;
  element('question').focus();
}

function show(text, isError) {
  const answer = element('answer');
  answer.textContent = text;
  answer.classList.toggle('error', Boolean(isError));
}

function showFacts(end) {
  const rows = {
    'finished by': end.finish_reason,
    'tokens': `${end.usage.completion_tokens} answered, ${end.usage.prompt_tokens} read (${end.usage.image_tokens} of the picture)`,
    'time': `${end.timings.total_ms.toFixed(1)} ms (picture ${end.timings.image_ms.toFixed(1)}, reading ` +
            `${end.timings.prefill_ms.toFixed(1)}, answering ${end.timings.decode_ms.toFixed(1)})`,
    'experts': `${end.moe.assigned_tokens} assignments, ${end.moe.overflow_tokens} above capacity`,
    'version': end.model_version,
  };
  const facts = element('facts');
  facts.replaceChildren(...Object.entries(rows).flatMap(([name, value]) => {
    const term = document.createElement('dt');
    const text = document.createElement('dd');
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  facts.hidden = false;
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

// With the key that the user gave, where the server asks for one; it is forgotten with the tab.
async function call(path, options = {}) {
  const key = sessionStorage.getItem('key');
  const response = await fetch(path, key ? { ...options, headers: { Authorization: `Bearer ${key}` } } : options);
  if (response.status !== 401) return response;
  const given = prompt('This server asks for a key:');
  if (!given) return response;
  sessionStorage.setItem('key', given.trim());
  return call(path, options);
}

async function ask(question, signal) {
  const form = new FormData();
  form.append('image', picture);
  form.append('question', question);
  form.append('stream', 'true');
  const response = await call('/v1/answer', { method: 'POST', body: form, signal });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let text = '';
  for await (const data of events(response)) {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    if ('delta' in event) show(text += event.delta);
    else { show(event.answer); showFacts(event); }
  }
}

async function submit(event) {
  event.preventDefault();
  const question = element('question').value.trim() || element('question').placeholder;
  if (!picture || running) return;
  running = new AbortController();
  element('ask').disabled = true;
  element('stop').hidden = false;
  element('facts').hidden = true;
  show('');
  try {
    await ask(question, running.signal);
  } catch (error) {
    if (error.name !== 'AbortError') show(error.message, true);
  } finally {
    running = null;
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

// A picture dropped beside the frame must not make the browser leave the page.
for (const kind of ['dragover', 'drop']) window.addEventListener(kind, event => event.preventDefault());
const drop = element('drop');
drop.addEventListener('dragover', event => { event.preventDefault(); drop.classList.add('over'); });
drop.addEventListener('dragleave', () => drop.classList.remove('over'));
drop.addEventListener('drop', event => {
  event.preventDefault();
  drop.classList.remove('over');
  choose(event.dataTransfer.files[0]);
});
document.addEventListener('paste', event => choose(event.clipboardData.files[0]));
element('file').addEventListener('change', event => choose(event.target.files[0]));
element('form').addEventListener('submit', submit);
element('stop').addEventListener('click', () => running && running.abort());
showModel();
