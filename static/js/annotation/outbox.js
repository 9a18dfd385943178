// Everything the person did that the server has not confirmed yet.
//
// One localStorage entry each, written before anything is sent: the write is done when the key press
// is, so a reload, a crash or a lost connection loses nothing. Entries are sent in order, by one tab
// at a time, each with an idempotency key of its own: sent twice, it happens once.

const PREFIX = 'tandem.outbox.';
const SENT_PREFIX = 'tandem.sent.';
const SENT_KEPT = 10; // assignments
const STATES = new Set(['grade', 'answer', 'unanswerable', 'flag']); // acts that say how something now is
const PATIENCE = [1000, 2000, 5000, 10000, 30000];
const KEEPALIVE_LIMIT = 60000;

function cookie(name) {
  const found = document.cookie.split('; ').find((part) => part.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : '';
}

/** One POST of a JSON body; the answer as {status, body}, status 0 when nobody was reached. */
export async function post(url, body, { key = '', owner = '' } = {}) {
  const text = JSON.stringify(body ?? {});
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json', 'X-CSRFToken': cookie('csrftoken') };
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

/** What any person on this browser has sent; what waits to be sent stays. */
export function forgetSent() {
  for (const name of Object.keys(localStorage)) if (name.startsWith(SENT_PREFIX)) localStorage.removeItem(name);
}

export class Outbox extends EventTarget {
  #prefix;
  #owner;
  #counter = 0;
  #isFlushing = false;
  #tries = 0;
  #timer = 0;
  #state = '';

  /** owner: the person's id, so that nobody sends somebody else's work from a shared browser. */
  constructor(owner) {
    super();
    this.#owner = owner;
    this.#prefix = `${PREFIX}${owner}.`;
    addEventListener('online', () => this.flush());
    addEventListener('offline', () => this.#say('offline'));
    addEventListener('storage', (event) => event.key?.startsWith(this.#prefix) && this.#tell());
    document.addEventListener('visibilitychange', () => this.flush(true));
    addEventListener('pagehide', () => this.flush(true));
  }

  /**
   * Keep one act and send it; isHeld: once somebody calls flush. `delay` lets later writes of the same kind take its
   * place meanwhile.
   */
  add(kind, url, body, { assignment, delay = 0, isHeld = false } = {}) {
    const last = this.pending(assignment).at(-1);
    if (delay && last?.kind === kind) localStorage.removeItem(last.id);
    const order = `${Date.now()}`.padStart(15, '0') + `${(this.#counter += 1)}`.padStart(6, '0');
    const id = `${this.#prefix}${order}`;
    const entry = { id, key: crypto.randomUUID(), kind, url, body, assignment, notBefore: delay ? Date.now() + delay : 0 };
    localStorage.setItem(id, JSON.stringify(entry));
    this.#tell();
    if (!isHeld) this.flush();
    return entry;
  }

  /** What waits, oldest first; of one assignment when it is given. */
  pending(assignment = null) {
    const ids = Object.keys(localStorage).filter((id) => id.startsWith(this.#prefix)).sort();
    const entries = ids.map((id) => JSON.parse(localStorage.getItem(id) ?? 'null')).filter(Boolean);
    return assignment === null ? entries : entries.filter((entry) => entry.assignment === assignment);
  }

  /** What the server has confirmed of an assignment that is not submitted: a copy of its page may be older. */
  sent(assignment) {
    return Object.values(JSON.parse(localStorage.getItem(this.#sentName(assignment)) ?? '{}'));
  }

  /** Send what waits. `now` sends also what was to wait for more typing. */
  async flush(now = false) {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    clearTimeout(this.#timer);
    try {
      const send = () => this.#drain(now);
      await (navigator.locks ? navigator.locks.request(`${this.#prefix}lock`, send) : send());
    } finally {
      this.#isFlushing = false;
    }
  }

  async #drain(now) {
    for (let waiting = this.pending(); waiting.length; waiting = this.pending()) {
      const [entry] = waiting;
      const wait = entry.notBefore - Date.now();
      if (wait > 0 && waiting.length === 1 && !now) return this.#later(wait);
      this.#tell();
      const { status, body } = await post(entry.url, entry.body, { key: entry.key, owner: this.#owner });
      if (status === 0 || status === 401 || status === 429 || status >= 500) {
        this.#say(status === 401 ? 'signed-out' : 'offline');
        return this.#later(PATIENCE[Math.min(this.#tries++, PATIENCE.length - 1)]);
      }
      this.#tries = 0;
      localStorage.removeItem(entry.id);
      if (status < 400) this.#note(entry);
      const name = status < 400 ? 'confirmed' : 'refused';
      this.dispatchEvent(new CustomEvent(name, { detail: { entry, status, body } }));
    }
    this.#tell();
  }

  #sentName(assignment) {
    return `${SENT_PREFIX}${this.#owner}.${`${assignment}`.padStart(12, '0')}`;
  }

  #note({ kind, body, assignment }) {
    const name = this.#sentName(assignment);
    if (kind === 'submit' || kind === 'skip') localStorage.removeItem(name);
    if (!STATES.has(kind)) return;
    const sent = JSON.parse(localStorage.getItem(name) ?? '{}');
    localStorage.setItem(name, JSON.stringify({ ...sent, [`${kind}.${body.passage ?? ''}`]: { kind, body } }));
    const names = Object.keys(localStorage).filter((id) => id.startsWith(`${SENT_PREFIX}${this.#owner}.`)).sort();
    for (const old of names.slice(0, -SENT_KEPT)) localStorage.removeItem(old);
  }

  #later(milliseconds) {
    this.#timer = setTimeout(() => this.flush(), milliseconds);
  }

  #tell() {
    const isTrying = this.#tries === 0 && navigator.onLine;
    this.#say(this.pending().length === 0 ? 'saved' : isTrying ? 'saving' : this.#state || 'offline');
  }

  #say(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, waiting: this.pending().length } }));
  }
}
