// Calls with the key that the user gave, where the server asks for one; it is forgotten with the tab.
const element = id => document.getElementById(id);
const kNoKey = 'This server asks for a key, and none was given.';
let asking = null;  // the answer of the dialog that is open, for every call that waits for it

function complaintAbout(key) {
  if (!key) return 'The field is empty: paste the key of this server.';
  if (!/^[\x21-\x7e]+$/.test(key)) return 'This cannot be a key: it has a space or a character that is not plain ASCII in it.';
  return '';
}

// The key, or null if the user gives none.
function askForKey(complaint) {
  asking ??= new Promise(resolve => {
    const dialog = element('key-dialog'), field = element('key');
    const complain = text => { element('key-complaint').textContent = text; };
    const end = key => {
      asking = null;
      dialog.close();
      resolve(key);
    };
    element('key-form').onsubmit = event => {
      event.preventDefault();
      const key = field.value.trim(), wrong = complaintAbout(key);
      complain(wrong);
      if (wrong) field.focus();
      else end(key);
    };
    element('key-cancel').onclick = () => end(null);
    dialog.oncancel = event => { event.preventDefault(); end(null); };  // Escape
    field.value = '';
    complain(complaint);
    dialog.showModal();
  });
  return asking;
}

// As fetch. A server that wants a key is given one, which the user is asked for unless `quiet`.
// Errors: those of fetch; one that says so where the user gives no key.
export async function call(path, options = {}, { quiet = false } = {}) {
  const key = sessionStorage.getItem('key');
  const response = await fetch(path, key ? { ...options, headers: { Authorization: `Bearer ${key}` } } : options);
  if (response.status !== 401 || quiet) return response;
  const given = await askForKey(key ? 'The server does not know this key.' : '');
  if (given === null) {
    sessionStorage.removeItem('key');  // a wrong one
    throw new Error(kNoKey);
  }
  sessionStorage.setItem('key', given);
  return call(path, options);
}

export const hasKey = () => sessionStorage.getItem('key') !== null;

// What the server says is wrong, of a response that is no answer.
export async function errorOf(response) {
  try {
    return new Error((await response.json()).error.message);
  } catch {
    return new Error(`the server answered ${response.status}`);
  }
}
