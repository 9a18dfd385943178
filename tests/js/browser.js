// The few parts of a browser that the modules under test use, for node's test runner.

class Store {
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }

  setItem(name, value) {
    this[name] = String(value);
  }

  removeItem(name) {
    delete this[name];
  }
}
for (const name of ['getItem', 'setItem', 'removeItem']) {
  Object.defineProperty(Store.prototype, name, { enumerable: false });
}

/** Set a global, also one that node has itself. */
export function setGlobal(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

/** Put a fresh browser into the global scope; return its document. */
export function openBrowser() {
  const page = new EventTarget();
  Object.assign(page, {
    cookie: 'csrftoken=token',
    hidden: false,
    documentElement: { dataset: {}, lang: 'en' },
    querySelector: () => null,
    querySelectorAll: () => [],
    getElementById: () => null,
  });
  const values = {
    document: page,
    window: new EventTarget(),
    localStorage: new Store(),
    sessionStorage: new Store(),
    addEventListener: () => {},
    Element: class Element extends EventTarget {},
    navigator: { onLine: true },
  };
  for (const [name, value] of Object.entries(values)) setGlobal(name, value);
  return page;
}

/**
 * Respond to each request with the next of these [status, body]: an object as JSON, a text as HTML, status 0 as no
 * connection. Return the list that the requests are added to.
 */
export function respondWith(...responses) {
  const requests = [];
  setGlobal('fetch', async (url, options = {}) => {
    requests.push({ url, body: options.body ? JSON.parse(options.body) : null, headers: options.headers });
    const [status, body] = responses.shift() ?? [200, {}];
    if (status === 0) throw new TypeError('no connection');
    const type = typeof body === 'string' ? 'text/html' : 'application/json';
    return {
      type: 'basic',
      ok: status < 400,
      status,
      headers: new Headers({ 'Content-Type': type }),
      json: async () => body,
      text: async () => body,
    };
  });
  return requests;
}
