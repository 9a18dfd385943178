// Active seconds per passage: counted while the page is visible and the person is active.

const IDLE_SECONDS = 30;
const ACTIVITY_EVENTS = ['keydown', 'pointerdown', 'pointermove', 'wheel', 'touchmove', 'scroll'];

export class ActiveTime {
  #seconds = new Map();
  #current = null;
  #since = 0;
  #lastActivity = performance.now();
  #stop = new AbortController();

  constructor() {
    const options = { passive: true, capture: true, signal: this.#stop.signal };
    for (const name of ACTIVITY_EVENTS) document.addEventListener(name, () => this.#recordActivity(), options);
    document.addEventListener('visibilitychange', () => this.#addElapsed(), { signal: this.#stop.signal });
  }

  /** Count the time from now on for this key, for example a passage; null: for none. */
  switchTo(key) {
    this.#addElapsed();
    this.#current = key;
  }

  /** Return the seconds of the key since the last call, to a tenth. */
  take(key) {
    this.#addElapsed();
    const seconds = this.#seconds.get(key) ?? 0;
    this.#seconds.delete(key);
    return Math.round(seconds * 10) / 10;
  }

  /** Seconds since the last activity. */
  get idleSeconds() {
    return (performance.now() - this.#lastActivity) / 1000;
  }

  close() {
    this.#stop.abort();
  }

  #recordActivity() {
    if (this.idleSeconds > IDLE_SECONDS) this.#addElapsed();
    this.#lastActivity = performance.now();
  }

  #addElapsed() {
    const end = Math.min(performance.now(), this.#lastActivity + IDLE_SECONDS * 1000);
    const elapsed = Math.max(0, (end - this.#since) / 1000);
    if (this.#current !== null && this.#since) {
      this.#seconds.set(this.#current, (this.#seconds.get(this.#current) ?? 0) + elapsed);
    }
    this.#since = document.hidden ? 0 : performance.now();
  }
}
