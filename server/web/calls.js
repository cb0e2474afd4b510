// What was just asked, as a call that can be pasted.
import { hasKey } from '/api.js';

const element = id => document.getElementById(id);
const kKinds = ['curl', 'python', 'grpc'];
let kind = 'curl';
let state = null;
let server = { model: 'sparsefusion', grpcPort: 0 };  // grpcPort 0: there is no gRPC

const shellQuoted = text => `'${text.replaceAll("'", "'\\''")}'`;

// The key itself is not shown: a snippet is pasted into chats.
const kKeyVariable = '$SPARSEFUSION_API_KEY';
const isTls = () => location.protocol === 'https:';

function grpcSnippet(file, question) {
  if (!server.grpcPort) return '# This server was started without gRPC.';
  const target = `${location.hostname}:${server.grpcPort}`;
  const key = hasKey() ? ` -H "authorization: Bearer ${kKeyVariable}"` : '';
  const json = JSON.stringify(JSON.stringify(question)).slice(1, -1).replace(/[$`]/g, '\\$&');
  return `sparsefusion ask ${shellQuoted(file)} ${shellQuoted(question)} --grpc ${target}${isTls() ? ' --tls' : ''}

# or with grpcurl, by reflection:
printf '%s' "{\\"image\\": \\"$(base64 -w0 ${shellQuoted(file)})\\", \\"question\\": ${json}}" |
  grpcurl${isTls() ? '' : ' -plaintext'}${key} -d @ ${target} sparsefusion.v1.VisualQuestionAnswering/Answer`;
}

const kSnippets = {
  curl: (file, question) => `curl${hasKey() ? ` -H "Authorization: Bearer ${kKeyVariable}"` : ''} -F image=@${shellQuoted(file)} -F question=${shellQuoted(question)} ${location.origin}/v1/answer`,
  python: (file, question) => `import base64${hasKey() ? ', os' : ''}
from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(location.origin + '/v1')}, api_key=${hasKey() ? 'os.environ["SPARSEFUSION_API_KEY"]' : '"none"'})
picture = base64.b64encode(open(${JSON.stringify(file)}, "rb").read()).decode()
answer = client.chat.completions.create(
    model=${JSON.stringify(server.model)},
    messages=[{"role": "user", "content": [
        {"type": "text", "text": ${JSON.stringify(question)}},
        {"type": "image_url", "image_url": {"url": "data:${state.picture?.type || 'image/png'};base64," + picture}}]}])
print(answer.choices[0].message.content)`,
  grpc: grpcSnippet,
};

// `facts`: {model, grpcPort}, as far as they are known.
export function describeServer(facts) {
  server = { ...server, ...facts };
  if (state) showSnippet(state);
}

export function showSnippet(newState) {
  state = newState;
  const file = state.picture ? state.picture.name : 'examples/scene.png';
  const question = element('question').value.trim() || element('question').placeholder;
  element('snippet').textContent = kSnippets[kind](file, question);
  element('snippet').setAttribute('aria-labelledby', `tab-${kind}`);
  for (const name of kKinds) {
    const tab = element(`tab-${name}`);
    tab.setAttribute('aria-selected', String(name === kind));
    tab.tabIndex = name === kind ? 0 : -1;
  }
}

function select(name) {
  kind = name;
  showSnippet(state);
  element(`tab-${name}`).focus();
}

for (const name of kKinds) {
  const tab = element(`tab-${name}`);
  tab.addEventListener('click', () => select(name));
  tab.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: kKinds.length - 1 }[event.key];
    if (step) select(kKinds[(kKinds.indexOf(name) + step) % kKinds.length]);
  });
}
element('question').addEventListener('input', () => state && showSnippet(state));
element('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(element('snippet').textContent);
    element('copy').textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(element('snippet'));  // no clipboard without https: selected, to be copied by hand
    element('copy').textContent = 'Selected';
  }
  setTimeout(() => { element('copy').textContent = 'Copy'; }, 1500);
});
