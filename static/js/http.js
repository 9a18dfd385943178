// Requests to the server: JSON in both directions, with the CSRF token of the cookie.

const KEEPALIVE_LIMIT = 60000; // bytes that a browser sends after its page is closed

function readCookie(name) {
  const pair = document.cookie.split('; ').find((part) => part.startsWith(`${name}=`));
  return pair ? decodeURIComponent(pair.slice(name.length + 1)) : '';
}

/** Post a JSON body; return {status, body}. Status 0: no server was reached. Status 401: nobody is signed in. */
export async function post(url, body, { key = '', owner = '' } = {}) {
  const text = JSON.stringify(body ?? {});
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json', 'X-CSRFToken': readCookie('csrftoken') };
  if (key) headers['Idempotency-Key'] = key;
  if (owner) headers['X-Owner'] = owner; // somebody else may have signed in meanwhile
  try {
    const response = await fetch(url, {
      method: 'POST', headers, body: text, redirect: 'manual', credentials: 'same-origin',
      keepalive: text.length < KEEPALIVE_LIMIT,
    });
    if (response.type === 'opaqueredirect') return { status: 401, body: {} };
    const isJson = (response.headers.get('Content-Type') ?? '').startsWith('application/json');
    const parsed = isJson ? await response.json() : null;
    // A 403 that is a page is the CSRF check of an old session, not an answer to the act.
    return { status: response.status === 403 && !isJson ? 401 : response.status, body: parsed ?? {} };
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return { status: 0, body: {} };
    throw error;
  }
}

/** Fetch a part of a page as HTML text; null when the server cannot be reached or refuses. */
export async function fetchHtml(url) {
  try {
    const response = await fetch(url, { headers: { 'HX-Request': 'true' }, redirect: 'manual' });
    return response.ok ? await response.text() : null;
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
