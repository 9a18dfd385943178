// What changed between the draft and the answer: by word, or by character where words have no spaces.

const LIMIT = 4_000_000; // cells of the table; beyond it the middle counts as one replacement
const TOKENS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}_'’]+|\s+|[^\s]/gu;

/** Words, spaces, signs; each Chinese character by itself. */
export function tokens(text) {
  return text.match(TOKENS) ?? [];
}

function table(a, b) {
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

function middle(a, b) {
  if (a.length * b.length > LIMIT) return [...a.map((t) => ['del', t]), ...b.map((t) => ['ins', t])];
  const longest = table(a, b);
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

/** [[same | del | ins, text], …]; joined without del it is `after`, without ins `before`. */
export function diff(before, after) {
  const a = tokens(before);
  const b = tokens(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const parts = [
    ...a.slice(0, head).map((t) => ['same', t]),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map((t) => ['same', t]),
  ];
  const out = [];
  for (const [kind, text] of parts) {
    if (out.at(-1)?.[0] === kind) out.at(-1)[1] += text;
    else out.push([kind, text]);
  }
  return out;
}
