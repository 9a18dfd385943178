// Keyboard shortcuts: which key does what. They are off while somebody types or an input method composes.

const TEXT_FIELDS = 'input:not([type=checkbox]):not([type=radio]):not([type=button]), textarea, select, [contenteditable]';
const REPEATABLE = new Set(['next', 'previous']); // a held key goes on
const ALIASES = { ArrowDown: 'next', ArrowUp: 'previous' };

/** Whether a key press in this element is text. */
function isTyping(target) {
  return target instanceof Element && target.closest(TEXT_FIELDS) !== null;
}

/** Whether an input method builds a character; the key then belongs to it. */
export function isComposing(event) {
  return event.isComposing || event.keyCode === 229 || event.key === 'Process' || event.key === 'Dead';
}

export class Keyboard {
  #actions = new Map();
  #handlers;
  #stop = new AbortController();

  /** keys: action → key; handlers: action → function(event), and `leave` for Escape. */
  constructor(keys, handlers) {
    this.#handlers = handlers;
    for (const [key, action] of Object.entries(ALIASES)) this.#actions.set(key, action);
    for (const [action, key] of Object.entries(keys)) this.#actions.set(key, action);
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
    if (isTyping(event.target)) return;
    const action = this.#actions.get(event.key) ?? this.#actions.get(event.key.toLowerCase());
    if (!action || (event.repeat && !REPEATABLE.has(action))) return;
    if (event.key === 'Enter' && event.target.closest('a, button, summary')) return;
    event.preventDefault();
    this.#handlers[action]?.(event);
  }
}
