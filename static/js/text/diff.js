// The difference of two texts: by word, or by character where words have no spaces.

const MAX_CELLS = 4_000_000; // of the table; above it the middle counts as one replacement
const TOKENS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}_'’]+|\s+|[^\s]/gu;

/** Split a text into words, spaces and signs; each Chinese character is one token. */
export function tokens(text) {
  return text.match(TOKENS) ?? [];
}

/** Return (i, j) → length of the longest common subsequence of a[i:] and b[j:]. */
function subsequenceLengths(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  return (i, j) => lengths[i * width + j];
}

/** Diff of the tokens between the common head and the common tail. */
function diffTokens(a, b) {
  if (a.length * b.length > MAX_CELLS) return [...a.map((t) => ['del', t]), ...b.map((t) => ['ins', t])];
  const longest = subsequenceLengths(a, b);
  const out = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(['same', a[i]]);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && longest(i + 1, j) >= longest(i, j + 1))) {
      out.push(['del', a[i]]);
      i += 1;
    } else {
      out.push(['ins', b[j]]);
      j += 1;
    }
  }
  return out;
}

/** Return how many items two lists share at the start, and how many of the rest at the end. */
export function commonEnds(before, after) {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return [head, tail];
}

/** Return [[same | del | ins, text], …]; joined without del it is `after`, without ins it is `before`. */
export function diff(before, after) {
  const a = tokens(before);
  const b = tokens(after);
  const [head, tail] = commonEnds(a, b);
  const parts = [
    ...a.slice(0, head).map((t) => ['same', t]),
    ...diffTokens(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map((t) => ['same', t]),
  ];
  const merged = [];
  for (const [kind, text] of parts) {
    if (merged.at(-1)?.[0] === kind) merged.at(-1)[1] += text;
    else merged.push([kind, text]);
  }
  return merged;
}
