"""Unigram tokenizer as in XLM-R: the segmentation of a text into pieces with the best score, spaces kept as `▁`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerFast

_PLACEHOLDERS = range(0xFDD0, 0xFDF0)  # noncharacters of Unicode: no text contains them


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the special tokens."""

    bos: int
    eos: int
    pad: int
    unk: int


def build_tokenizer(
    pieces: Sequence[tuple[str, float]], special: SpecialTokens, char_map: Mapping[str, str], max_tokens: int
) -> PreTrainedTokenizerFast:
    """Build a tokenizer that adds `<s> … </s>` around the best segmentation of a text.

    pieces: text and score (log-probability) of each id. char_map: see `build_normalizer`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    fast = Tokenizer(models.Unigram(list(pieces), unk_id=special.unk, byte_fallback=False))
    fast.normalizer = build_normalizer(char_map, {char for text, _score in pieces for char in text})
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    fast.decoder = decoders.Metaspace(prepend_scheme="always")
    bos, eos, pad, unk = (pieces[token_id][0] for token_id in (special.bos, special.eos, special.pad, special.unk))
    fast.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, special.bos), (eos, special.eos)],
    )
    names = {"bos_token": bos, "eos_token": eos, "cls_token": bos, "sep_token": eos, "pad_token": pad, "unk_token": unk}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=fast, model_max_length=max_tokens, model_input_names=["input_ids", "attention_mask"], **names
    )


def build_normalizer(char_map: Mapping[str, str], piece_chars: Iterable[str]) -> Normalizer:
    """Build a normalizer: NFKC with the exceptions of `char_map`, then runs of spaces become one space.

    The map replaces single characters; NFKC also composes (`e` and its accent), as in the encoder's training.
    piece_chars: characters of the pieces; one that is not in the map stays unchanged, even if NFKC would change it.
    """
    from tokenizers import Regex, normalizers

    nfkc = normalizers.NFKC()
    exceptions: defaultdict[str, list[str]] = defaultdict(list)  # target → the characters that become it
    for char in sorted({*char_map, *piece_chars}):
        target = char_map.get(char, char)
        if nfkc.normalize_str(char) != target:
            exceptions[target].append(char)
    placeholders = map(chr, _PLACEHOLDERS)
    before, after = [], []
    for target, chars in exceptions.items():
        is_stable = nfkc.normalize_str(target) == target
        replacement = target if is_stable else next(placeholders)
        pattern = Regex("[" + "".join(f"\\x{{{ord(char):X}}}" for char in chars) + "]")
        before.append(normalizers.Replace(pattern, replacement))
        if not is_stable:
            after.append(normalizers.Replace(replacement, target))
    return normalizers.Sequence([*before, nfkc, *after, normalizers.Replace(Regex(" {2,}"), " ")])
