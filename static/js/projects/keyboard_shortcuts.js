// The preferences page: a field of a keyboard shortcut takes the key that is pressed in it.

import { isComposing } from '../keyboard.js';

const RESERVED = new Set(['Tab', 'Escape', 'Shift', 'Control', 'Alt', 'Meta', 'CapsLock']);

document.getElementById('preferences')?.addEventListener('keydown', (event) => {
  if (!event.target.matches('.key-input') || isComposing(event)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || RESERVED.has(event.key)) return;
  event.preventDefault();
  event.target.value = event.key;
  event.target.select();
  event.target.removeAttribute('aria-invalid');
});
