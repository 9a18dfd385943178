// The outbox: every act of the person that the server has not confirmed yet.
//
// Each act is one localStorage entry, written before anything is sent: a reload, a crash or a lost connection
// loses nothing. Entries are sent in order, by one tab at a time, each with an idempotency key of its own: an entry
// that is sent twice has one effect.

import { post } from '../http.js';

const PREFIX = 'tandem.outbox.';
const SENT_PREFIX = 'tandem.sent.';
const MAX_SENT_ASSIGNMENTS = 10;
const VALUE_KINDS = new Set(['grade', 'answer', 'unanswerable', 'flag']); // acts that set a value; the newest counts
const RETRY_DELAYS = [1000, 2000, 5000, 10000, 30000];

/** Return the entry as the server takes it today: pages of an older version called the undo of a submit take-back. */
function current(entry) {
  return entry?.kind === 'take-back' ? { ...entry, kind: 'undo-submit', url: entry.url.replace(/take-back\/$/, 'undo-submit/') } : entry;
}

/** Remove the record of what anybody on this browser has sent; entries that wait stay. */
export function clearSent() {
  for (const name of Object.keys(localStorage)) if (name.startsWith(SENT_PREFIX)) localStorage.removeItem(name);
}

export class Outbox extends EventTarget {
  #prefix;
  #owner;
  #counter = 0;
  #isFlushing = false;
  #attempts = 0;
  #timer = 0;
  #state = '';

  /** owner: the person's id; nobody sends the work of another person from a shared browser. */
  constructor(owner) {
    super();
    this.#owner = owner;
    this.#prefix = `${PREFIX}${owner}.`;
    addEventListener('online', () => this.flush());
    addEventListener('offline', () => this.#setState('offline'));
    addEventListener('storage', (event) => event.key?.startsWith(this.#prefix) && this.#reportState());
    document.addEventListener('visibilitychange', () => this.flush(true));
    addEventListener('pagehide', () => this.flush(true));
  }

  /**
   * Store one act and send it; with isHeld, at the next flush. Within `delay` milliseconds a later act of the same
   * kind replaces it.
   */
  add(kind, url, body, { assignment, delay = 0, isHeld = false } = {}) {
    const last = this.pending(assignment).at(-1);
    if (delay && last?.kind === kind) localStorage.removeItem(last.id);
    const order = `${Date.now()}`.padStart(15, '0') + `${(this.#counter += 1)}`.padStart(6, '0');
    const key = crypto.randomUUID();
    const id = `${this.#prefix}${order}.${key}`; // unique also when two tabs act in the same millisecond
    const entry = { id, key, kind, url, body, assignment, notBefore: delay ? Date.now() + delay : 0 };
    localStorage.setItem(id, JSON.stringify(entry));
    this.#reportState();
    if (!isHeld) this.flush();
    return entry;
  }

  /** Return the entries that wait, oldest first; those of one assignment when it is given. */
  pending(assignment = null) {
    const ids = Object.keys(localStorage).filter((id) => id.startsWith(this.#prefix)).sort();
    const entries = ids.map((id) => current(JSON.parse(localStorage.getItem(id) ?? 'null'))).filter(Boolean);
    return assignment === null ? entries : entries.filter((entry) => entry.assignment === assignment);
  }

  /** Return what the server has confirmed of an assignment that is not submitted: a copy of its page may be older. */
  sent(assignment) {
    return Object.values(JSON.parse(localStorage.getItem(this.#sentName(assignment)) ?? '{}'));
  }

  /** Send what waits; `now` also sends entries whose delay has not passed. */
  async flush(now = false) {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    clearTimeout(this.#timer);
    try {
      const send = () => this.#sendAll(now);
      await (navigator.locks ? navigator.locks.request(`${this.#prefix}lock`, send) : send());
    } finally {
      this.#isFlushing = false;
    }
  }

  async #sendAll(now) {
    for (let entries = this.pending(); entries.length; entries = this.pending()) {
      const [entry] = entries;
      const wait = entry.notBefore - Date.now();
      if (wait > 0 && entries.length === 1 && !now) return this.#flushAfter(wait);
      this.#reportState();
      const { status, body } = await post(entry.url, entry.body, { key: entry.key, owner: this.#owner });
      if (status === 0 || status === 401 || status === 429 || status >= 500) {
        this.#setState(status === 401 ? 'signed-out' : 'offline');
        return this.#flushAfter(RETRY_DELAYS[Math.min(this.#attempts++, RETRY_DELAYS.length - 1)]);
      }
      this.#attempts = 0;
      localStorage.removeItem(entry.id);
      if (status < 400) this.#recordSent(entry);
      const name = status < 400 ? 'confirmed' : 'refused';
      this.dispatchEvent(new CustomEvent(name, { detail: { entry, status, body } }));
    }
    this.#reportState();
  }

  #sentName(assignment) {
    return `${SENT_PREFIX}${this.#owner}.${`${assignment}`.padStart(12, '0')}`;
  }

  #recordSent({ kind, body, assignment }) {
    const name = this.#sentName(assignment);
    if (kind === 'submit' || kind === 'skip') localStorage.removeItem(name);
    if (!VALUE_KINDS.has(kind)) return;
    const sent = JSON.parse(localStorage.getItem(name) ?? '{}');
    localStorage.setItem(name, JSON.stringify({ ...sent, [`${kind}.${body.passage ?? ''}`]: { kind, body } }));
    const names = Object.keys(localStorage).filter((id) => id.startsWith(`${SENT_PREFIX}${this.#owner}.`)).sort();
    for (const old of names.slice(0, -MAX_SENT_ASSIGNMENTS)) localStorage.removeItem(old);
  }

  #flushAfter(milliseconds) {
    this.#timer = setTimeout(() => this.flush(), milliseconds);
  }

  #reportState() {
    const isTrying = this.#attempts === 0 && navigator.onLine;
    this.#setState(this.pending().length === 0 ? 'saved' : isTrying ? 'saving' : this.#state || 'offline');
  }

  #setState(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: { state, waiting: this.pending().length } }));
  }
}
