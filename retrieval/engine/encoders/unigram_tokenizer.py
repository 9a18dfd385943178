"""A tokeniser as XLM-R has it: pieces with scores, the best-scored cut of a text, spaces kept as `▁`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedTokenizerFast

_STAND_INS = range(0xFDD0, 0xFDF0)  # code points that Unicode keeps out of every text


@dataclass(frozen=True)
class Marks:
    """Ids of the pieces that are no text."""

    bos: int
    eos: int
    pad: int
    unk: int


def tokenizer(
    pieces: Sequence[tuple[str, float]], marks: Marks, mapped: Mapping[str, str], max_tokens: int
) -> PreTrainedTokenizerFast:
    """`<s> … </s>` around the best cut of a text.

    pieces: text and score (log-probability) of each id. mapped: what becomes of a character before the cut; see
    `normaliser`.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    fast = Tokenizer(models.Unigram(list(pieces), unk_id=marks.unk, byte_fallback=False))
    fast.normalizer = normaliser(mapped, {letter for text, _score in pieces for letter in text})
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    fast.decoder = decoders.Metaspace(prepend_scheme="always")
    bos, eos, pad, unk = (pieces[one][0] for one in (marks.bos, marks.eos, marks.pad, marks.unk))
    fast.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, marks.bos), (eos, marks.eos)],
    )
    named = {"bos_token": bos, "eos_token": eos, "cls_token": bos, "sep_token": eos, "pad_token": pad, "unk_token": unk}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=fast, model_max_length=max_tokens, model_input_names=["input_ids", "attention_mask"], **named
    )


def normaliser(mapped: Mapping[str, str], letters: Iterable[str]) -> Normalizer:
    """NFKC, save where the map says otherwise, and then no two spaces side by side.

    The map goes character by character; NFKC also joins what belongs together (`e` and its accent), as the encoder
    heard it in training. letters: characters that occur in pieces; one the map does not name stays as it is, even
    if NFKC would change it.
    """
    from tokenizers import Regex, normalizers

    plain = normalizers.NFKC()
    apart: defaultdict[str, list[str]] = defaultdict(list)
    for letter in sorted({*mapped, *letters}):
        wanted = mapped.get(letter, letter)
        if plain.normalize_str(letter) != wanted:
            apart[wanted].append(letter)
    free = map(chr, _STAND_INS)
    before, after = [], []
    for wanted, some in apart.items():
        stays = plain.normalize_str(wanted) == wanted
        stand_in = wanted if stays else next(free)
        before.append(normalizers.Replace(Regex("[" + "".join(f"\\x{{{ord(one):X}}}" for one in some) + "]"), stand_in))
        if not stays:
            after.append(normalizers.Replace(stand_in, wanted))
    return normalizers.Sequence([*before, plain, *after, normalizers.Replace(Regex(" {2,}"), " ")])
