// Spans of text: where a selection lies in a passage, which spans are evidence, and how they are painted.
//
// Spans are painted with the CSS Custom Highlight API, so the text of a passage is never cut up.
// Offsets are code points, as the server counts them; a browser counts UTF-16 units.

import { proseOf } from './work.js';

/** Code points before a UTF-16 position. */
export function toPoints(text, units) {
  return [...text.slice(0, units)].length;
}

/** UTF-16 units before a code point. */
export function toUnits(text, points) {
  return [...text].slice(0, points).join('').length;
}

/** Sentences of a text as [start, end) in UTF-16 units, without the space around them. */
export function sentencesOf(text, language) {
  const segments = [...new Intl.Segmenter(language || undefined, { granularity: 'sentence' }).segment(text)];
  const lines = segments.flatMap(({ segment, index }) => {
    let at = index;
    return segment.split('\n').map((line) => {
      const found = [at, line];
      at += line.length + 1;
      return found;
    });
  });
  return lines
    .filter(([, line]) => line.trim())
    .map(([at, line]) => [at + (line.length - line.trimStart().length), at + line.trimEnd().length]);
}

function offset(prose, node, position) {
  const range = document.createRange();
  range.setStart(prose, 0);
  range.setEnd(node, position);
  return range.toString().length;
}

function rangeOf(prose, start, end) {
  const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  let at = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const after = at + node.length;
    if (start >= at && start < after) range.setStart(node, start - at);
    if (end > at && end <= after) {
      range.setEnd(node, end - at);
      return range;
    }
    at = after;
  }
  return null;
}

/** {card, span, text, rect} of the selected words of one passage; null when nothing or something else is selected. */
export function selected() {
  const selection = document.getSelection();
  if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
  const range = selection.getRangeAt(0);
  const prose = (range.startContainer.parentElement ?? range.startContainer).closest?.('.prose');
  if (!prose || !prose.contains(range.endContainer)) return null;
  const text = prose.textContent;
  let start = offset(prose, range.startContainer, range.startOffset);
  let end = offset(prose, range.endContainer, range.endOffset);
  while (start < end && /\s/.test(text[start])) start += 1;
  while (end > start && /\s/.test(text[end - 1])) end -= 1;
  if (start === end) return null;
  const span = [toPoints(text, start), toPoints(text, end)];
  return { card: prose.closest('.judged'), span, rect: range.getBoundingClientRect() };
}

/** The spans with this one put in, or taken out where it lies within one; in order, joined where they touch. */
export function toggled(spans, [start, end]) {
  const around = spans.find(([a, b]) => a <= start && end <= b);
  if (around) return spans.filter((span) => span !== around);
  const apart = spans.filter(([a, b]) => b < start || end < a);
  const joined = spans.filter(([a, b]) => !(b < start || end < a));
  const merged = [Math.min(start, ...joined.map(([a]) => a)), Math.max(end, ...joined.map(([, b]) => b))];
  return [...apart, merged].sort(([a], [b]) => a - b);
}

/** Paint spans of cards: name is a ::highlight() of the style sheet. */
export function paint(name, pairs) {
  if (!globalThis.CSS?.highlights) return;
  const ranges = pairs.flatMap(([card, spans]) => {
    const prose = proseOf(card);
    const text = prose.textContent;
    return spans.map(([a, b]) => rangeOf(prose, toUnits(text, a), toUnits(text, b))).filter(Boolean);
  });
  CSS.highlights.set(name, new Highlight(...ranges));
}

/** Show a card's evidence below its text, each span with a button that removes it. */
export function listEvidence(card, spans, removeLabel) {
  card.dataset.evidence = JSON.stringify(spans);
  const text = [...proseOf(card).textContent];
  fillList(card.querySelector('ul.evidence'), spans, text, removeLabel);
}

/** Quoted spans of a text, each with a button that carries its place in the list. */
export function fillList(list, spans, points, removeLabel) {
  list.hidden = spans.length === 0;
  list.replaceChildren(...spans.map(([start, end], index) => {
    const item = document.createElement('li');
    const quote = document.createElement('q');
    const words = points.slice(start, end).join('');
    quote.textContent = words.length > 120 ? `${words.slice(0, 119)}…` : words;
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

/** Going through a passage sentence by sentence, for those who select with keys. */
export class Picker {
  constructor(card) {
    this.card = card;
    const prose = proseOf(card);
    this.text = prose.textContent;
    const from = prose.querySelector('.folded + .shown')?.previousSibling?.textContent.length ?? 0;
    this.sentences = sentencesOf(this.text, prose.lang);
    this.at = Math.max(0, this.sentences.findIndex(([start]) => start >= from));
  }

  get span() {
    const [start, end] = this.sentences[this.at];
    return [toPoints(this.text, start), toPoints(this.text, end)];
  }

  get words() {
    const [start, end] = this.sentences[this.at];
    return this.text.slice(start, end);
  }

  move(step) {
    this.at = Math.min(this.sentences.length - 1, Math.max(0, this.at + step));
  }
}
