// The questions of this page's lifetime with their answers: one press brings picture, question and answer back.
const element = id => document.getElementById(id);
const kMostEntries = 20;
const entries = [];  // the newest first

function button({ thumbnail, question, answer }, onClick) {
  const row = document.createElement('button');
  row.type = 'button';
  row.className = 'past';
  const image = document.createElement('img');
  image.src = thumbnail;
  image.alt = '';
  const text = document.createElement('span');
  const asked = document.createElement('span');
  asked.textContent = question;
  const answered = document.createElement('strong');
  answered.textContent = answer;
  text.append(asked, answered);
  row.append(image, text);
  row.addEventListener('click', onClick);
  return row;
}

// `entry`: {picture, question, answer, end}; `restore` is called with it when the user wants it back.
export function remember(entry, restore) {
  // Asked again at once: the same row.
  if (entries[0]?.picture === entry.picture && entries[0].question === entry.question) {
    URL.revokeObjectURL(entries.shift().thumbnail);
  }
  entries.unshift({ ...entry, thumbnail: URL.createObjectURL(entry.picture) });
  for (const old of entries.splice(kMostEntries)) URL.revokeObjectURL(old.thumbnail);
  element('history').replaceChildren(...entries.map(one => {
    const item = document.createElement('li');
    item.append(button(one, () => restore(one)));
    return item;
  }));
  element('history-card').hidden = false;
}
