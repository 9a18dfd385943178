// Evidence: the spans of a passage that support a grade, selected, listed and highlighted.
//
// Spans are painted with the CSS Custom Highlight API, so the text of a passage stays one piece.
// Offsets are code points, as on the server.

import { toCodePoints, toUtf16 } from '../text/spans.js';
import { proseOf } from './work.js';

const MAX_QUOTE_LENGTH = 120;

function offsetIn(prose, node, position) {
  const range = document.createRange();
  range.setStart(prose, 0);
  range.setEnd(node, position);
  return range.toString().length;
}

/** Return the range of [start, end) in UTF-16 units of the prose; null beyond its end. */
function rangeOf(prose, start, end) {
  const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let position = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const nodeEnd = position + node.length;
    if (start >= position && start < nodeEnd) range.setStart(node, start - position);
    if (end > position && end <= nodeEnd) {
      range.setEnd(node, end - position);
      return range;
    }
    position = nodeEnd;
  }
  return null;
}

/** Return {card, span, rect} of the selected words of one passage; null when nothing or something else is selected. */
export function selectedSpan() {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  const prose = (range.startContainer.parentElement ?? range.startContainer).closest?.('.prose');
  if (!prose || !prose.contains(range.endContainer)) return null;
  const text = prose.textContent;
  let start = offsetIn(prose, range.startContainer, range.startOffset);
  let end = offsetIn(prose, range.endContainer, range.endOffset);
  while (start < end && /\s/.test(text[start])) start += 1;
  while (end > start && /\s/.test(text[end - 1])) end -= 1;
  if (start === end) return null;
  const span = [toCodePoints(text, start), toCodePoints(text, end)];
  return { card: prose.closest('.passage-card'), span, rect: range.getBoundingClientRect() };
}

/** Highlight spans: name is a ::highlight() of the style sheet, pairs are [card, spans]. */
export function highlight(name, pairs) {
  if (!globalThis.CSS?.highlights) return;
  const ranges = pairs.flatMap(([card, spans]) => {
    const prose = proseOf(card);
    const text = prose.textContent;
    return spans.map(([start, end]) => rangeOf(prose, toUtf16(text, start), toUtf16(text, end))).filter(Boolean);
  });
  CSS.highlights.set(name, new Highlight(...ranges));
}

/** List a card's evidence below its text, each span with a button that removes it. */
export function listEvidence(card, spans, removeLabel) {
  card.dataset.evidence = JSON.stringify(spans);
  listSpans(card.querySelector('ul.evidence'), spans, proseOf(card).textContent, removeLabel);
}

/** List quoted spans of a text, each with a button whose data-remove is its index. */
export function listSpans(list, spans, text, removeLabel) {
  const points = [...text];
  list.hidden = spans.length === 0;
  list.replaceChildren(...spans.map(([start, end], index) => {
    const item = document.createElement('li');
    const quote = document.createElement('q');
    const words = points.slice(start, end).join('');
    quote.textContent = words.length > MAX_QUOTE_LENGTH ? `${words.slice(0, MAX_QUOTE_LENGTH - 1)}…` : words;
    const remove = document.createElement('button');
    remove.type = 'button';
    remove.className = 'remove';
    remove.dataset.remove = String(index);
    remove.setAttribute('aria-label', `${removeLabel}: ${quote.textContent}`);
    remove.textContent = '×';
    item.append(quote, remove);
    return item;
  }));
}
