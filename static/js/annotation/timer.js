// Active seconds per passage: counted while the page is in front and the person shows signs of life.

const IDLE_SECONDS = 30;
const SIGNS = ['keydown', 'pointerdown', 'pointermove', 'wheel', 'touchmove', 'scroll'];

export class Timer {
  #seconds = new Map();
  #current = null;
  #since = 0;
  #alive = performance.now();
  #stop = new AbortController();

  constructor() {
    const options = { passive: true, capture: true, signal: this.#stop.signal };
    for (const sign of SIGNS) document.addEventListener(sign, () => this.#live(), options);
    document.addEventListener('visibilitychange', () => this.#settle(), { signal: this.#stop.signal });
  }

  /** From now on the time belongs to this passage; null: to none. */
  attend(passage) {
    this.#settle();
    this.#current = passage;
  }

  /** Seconds spent on the passage since this was last asked. */
  take(passage) {
    this.#settle();
    const seconds = this.#seconds.get(passage) ?? 0;
    this.#seconds.delete(passage);
    return Math.round(seconds * 10) / 10;
  }

  /** Seconds since the last sign of life. */
  get idle() {
    return (performance.now() - this.#alive) / 1000;
  }

  close() {
    this.#stop.abort();
  }

  #live() {
    if (this.idle > IDLE_SECONDS) this.#settle();
    this.#alive = performance.now();
  }

  #settle() {
    const end = Math.min(performance.now(), this.#alive + IDLE_SECONDS * 1000);
    const spent = Math.max(0, (end - this.#since) / 1000);
    if (this.#current !== null && this.#since) {
      this.#seconds.set(this.#current, (this.#seconds.get(this.#current) ?? 0) + spent);
    }
    this.#since = document.hidden ? 0 : performance.now();
  }
}
