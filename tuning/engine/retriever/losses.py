"""The losses of the retriever, over one matrix of scores a batch.

`scores[b, p]` is E_q(query b) · E_d(passage p) / T_R. Each row has masks that say which passages count
and how; a row that has nothing to say in a loss adds 0 to it. Every loss is Σ_b w_b · loss_b / B with B all
rows of the batch, so that a batch with few graded lists does not shout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_FAR = -1e9  # finite: a row without support keeps a finite gradient


def listwise_kl(scores: Tensor, target: Tensor, support: Tensor, weights: Tensor) -> Tensor:
    """KL(t ‖ p_R | support), the mean over the batch; the human and the LM part alike.

    scores:  (batch, passages)
    target:  (batch, passages) a distribution over the support; 0 elsewhere, all 0 where there is none.
    support: (batch, passages) bool, the passages p_R is normalised over.
    weights: (batch,)
    Lin et al. 2023 (arXiv 2310.01352, eq. 4) write KL(p_R ‖ p_LSR); with the target first the mean covers
    every good passage and not the best one alone (Izacard et al. 2022, arXiv 2208.03299, §2.2).
    """
    log_p = scores.masked_fill(~support, _FAR).log_softmax(dim=1)  # (batch, passages)
    log_t = target.clamp_min(1e-30).log()
    per_query = (target * (log_t - log_p)).sum(dim=1)  # (batch,); 0 where the target is 0
    return (weights * per_query).sum() / len(scores)


def contrast(scores: Tensor, right: Tensor, wrong: Tensor, weights: Tensor) -> Tensor:
    """−log(Σ₊ eˢ / (Σ₊ eˢ + Σ₋ eˢ)): the summed marginal of several right passages.

    right, wrong: (batch, passages) bool, disjoint. A passage in neither is not looked at. After
    arXiv 2504.05220 (§3); with one right passage a row it is InfoNCE.
    """
    both = scores.masked_fill(~(right | wrong), _FAR).logsumexp(dim=1)  # (batch,)
    good = scores.masked_fill(~right, _FAR).logsumexp(dim=1)
    speaks = right.any(dim=1) & wrong.any(dim=1)
    return (weights * (both - good) * speaks).sum() / len(scores)


def contrast_back(scores: Tensor, right: Tensor, wrong: Tensor, weights: Tensor) -> Tensor:
    """The contrast from the passages' side: which of the batch's queries does each answer?

    Over the passages that are right for a query, the mean of −log(Σ₊ eˢ / (Σ₊ eˢ + Σ₋ eˢ)) down the column, each
    with the mean weight of the queries it is right for; 0 without one. It asks nothing more of the encoders. As in
    CLIP (arXiv 2103.00020, figure 3), where every column has one right row; here it may have several.
    """
    shares = right.to(scores.dtype)  # (batch, passages)
    counts = shares.sum(dim=0)  # (passages,)
    of_column = (weights @ shares) / counts.clamp_min(1.0)
    return contrast(scores.T, right.T, wrong.T, of_column) * len(counts) / (counts > 0).sum().clamp_min(1)


def push_down(scores: Tensor, wrong: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """−log(1 − p_R(judged not relevant)): all a query without a relevant passage can teach.

    wrong, others: (batch, passages) bool, disjoint: judged not relevant, and what they compete with. Of
    the others none is called right; the mass may go to any of them.
    """
    return contrast(scores, others, wrong, weights)


def anchor(vectors: Tensor, before: Tensor) -> Tensor:
    """‖E_q − E_q⁰‖², the mean over the batch: how far the queries (batch, dim) have drifted from the base's."""
    return (vectors - before).square().sum(dim=1).mean()
