// Calls with the key that the user gave, where the server asks for one; it is forgotten with the tab.
export async function call(path, options = {}) {
  const key = sessionStorage.getItem('key');
  const response = await fetch(path, key ? { ...options, headers: { Authorization: `Bearer ${key}` } } : options);
  if (response.status !== 401) return response;
  const given = prompt('This server asks for a key:');
  if (!given) return response;
  sessionStorage.setItem('key', given.trim());
  return call(path, options);
}
