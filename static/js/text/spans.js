// Spans of text, [start, end). The server counts code points; a browser counts UTF-16 units.
// Citations and spans of an edited text follow their words.

import { commonEnds } from './diff.js';

/** Return the number of code points before a UTF-16 position. */
export function toCodePoints(text, units) {
  return [...text.slice(0, units)].length;
}

/** Return the number of UTF-16 units before a code point. */
export function toUtf16(text, points) {
  return [...text].slice(0, points).join('').length;
}

/** Return the sentences of a text as spans in UTF-16 units, without the white space around them. */
export function sentenceSpans(text, language) {
  const segments = [...new Intl.Segmenter(language || undefined, { granularity: 'sentence' }).segment(text)];
  const lines = segments.flatMap(({ segment, index }) => {
    let start = index;
    return segment.split('\n').map((line) => {
      const pair = [start, line];
      start += line.length + 1;
      return pair;
    });
  });
  return lines
    .filter(([, line]) => line.trim())
    .map(([start, line]) => [start + (line.length - line.trimStart().length), start + line.trimEnd().length]);
}

/** Return the spans with this one added, or removed where it lies within one: sorted, merged where they touch. */
export function toggleSpan(spans, [start, end]) {
  const around = spans.find(([a, b]) => a <= start && end <= b);
  if (around) return spans.filter((span) => span !== around);
  const apart = spans.filter(([a, b]) => b < start || end < a);
  const touching = spans.filter(([a, b]) => !(b < start || end < a));
  const merged = [Math.min(start, ...touching.map(([a]) => a)), Math.max(end, ...touching.map(([, b]) => b))];
  return [...apart, merged].sort(([a], [b]) => a - b);
}

function sentences(text, language) {
  return sentenceSpans(text, language).map(([start, end]) => text.slice(start, end));
}

/**
 * Return the citations [{sentence, …}] for the edited text. The citation of a changed sentence goes to the one in its
 * place; the citation of a deleted sentence is dropped.
 */
export function moveCitations(citations, before, after, language) {
  const [old, current] = [sentences(before, language), sentences(after, language)];
  const [head, tail] = commonEnds(old, current);
  const oldMiddle = old.slice(head, old.length - tail);
  const newMiddle = current.slice(head, current.length - tail);
  return citations.flatMap((citation) => {
    const place = oldMiddle.indexOf(citation.sentence);
    if (place < 0 || current.includes(citation.sentence)) return [citation];
    const sentence = newMiddle[Math.min(place, newMiddle.length - 1)];
    return sentence ? [{ ...citation, sentence }] : [];
  });
}

/** Return the spans, in code points, for the edited text; a span whose words were deleted is dropped. */
export function moveSpans(spans, before, after) {
  const [old, current] = [[...before], [...after]];
  const [head, tail] = commonEnds(old, current);
  const growth = current.length - old.length;
  return spans
    .map(([start, end]) => [
      start >= old.length - tail ? start + growth : Math.min(start, current.length - tail),
      end > head ? Math.max(end + growth, head) : end,
    ])
    .filter(([start, end]) => start < end);
}
