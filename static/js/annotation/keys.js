// Which key does what: the person's own map over the defaults, dead while typing or composing.

const WRITES = 'input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable]';
const HOLDABLE = new Set(['next', 'previous']);
const ALIASES = { ArrowDown: 'next', ArrowUp: 'previous' };

/** True where a key press is text and nothing else. */
export function isWriting(target) {
  return target instanceof Element && target.closest(WRITES) !== null;
}

/** True while an input method builds a character, when keys belong to it. */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229 || event.key === 'Process' || event.key === 'Dead';
}

export class Keys {
  #actions = new Map();
  #handlers;
  #stop = new AbortController();

  /** map: action → key; handlers: action → function(event). */
  constructor(map, handlers) {
    this.#handlers = handlers;
    for (const [key, action] of Object.entries(ALIASES)) this.#actions.set(key, action);
    for (const [action, key] of Object.entries(map)) this.#actions.set(key, action);
    document.addEventListener('keydown', (event) => this.#press(event), { signal: this.#stop.signal });
  }

  close() {
    this.#stop.abort();
  }

  #press(event) {
    if (event.defaultPrevented || isComposing(event) || document.querySelector('dialog[open]')) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') {
      this.#handlers.leave(event);
      return;
    }
    if (isWriting(event.target)) return;
    const action = this.#actions.get(event.key) ?? this.#actions.get(event.key.toLowerCase());
    if (!action || (event.repeat && !HOLDABLE.has(action))) return;
    if (event.key === 'Enter' && event.target.closest('a, button, summary')) return;
    event.preventDefault();
    this.#handlers[action]?.(event);
  }
}
