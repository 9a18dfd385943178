// Anchors in a text that somebody edits: citations follow their sentence, spans follow their words.

import { commonEnds } from './diff.js';
import { sentenceSpans } from './spans.js';

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
