// The preferences page: a key field takes the key that is pressed in it.

import { isComposing } from './keys.js';

const PASSING = new Set(['Tab', 'Escape', 'Shift', 'Control', 'Alt', 'Meta', 'CapsLock']);

document.getElementById('preferences')?.addEventListener('keydown', (event) => {
  if (!event.target.matches('.key-input') || isComposing(event)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || PASSING.has(event.key)) return;
  event.preventDefault();
  event.target.value = event.key;
  event.target.select();
  event.target.removeAttribute('aria-invalid');
});
