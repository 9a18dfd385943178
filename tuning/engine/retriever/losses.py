"""The losses of the retriever, over one matrix of scores a batch: KL distillation, contrastive loss, anchor.

`scores[b, p]` is E_q(query b) · E_d(passage p) / T_R. Each row has masks that say which passages count and how; a row
without such passages adds 0 to the loss. Every loss is Σ_b w_b · loss_b / B with B all rows of the batch, so that a
batch with few graded lists has no larger step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MASKED = -1e9  # finite: a row without support keeps a finite gradient


def listwise_kl(scores: Tensor, target: Tensor, support: Tensor, weights: Tensor) -> Tensor:
    """Return the loss of KL distillation, KL(t ‖ p_R | support), the mean over the batch.

    scores:  (batch, passages)
    target:  (batch, passages) a distribution over the support, from people or from the language model; 0 elsewhere,
             all 0 where there is none.
    support: (batch, passages) bool, the passages p_R is normalised over.
    weights: (batch,)
    Lin et al. 2023 (arXiv 2310.01352, eq. 4) write KL(p_R ‖ p_LSR); with the target first the mean covers
    every good passage and not the best one alone (Izacard et al. 2022, arXiv 2208.03299, §2.2).
    """
    log_p = scores.masked_fill(~support, _MASKED).log_softmax(dim=1)  # (batch, passages)
    log_t = target.clamp_min(1e-30).log()
    per_query = (target * (log_t - log_p)).sum(dim=1)  # (batch,); 0 where the target is 0
    return (weights * per_query).sum() / len(scores)


def contrastive_loss(scores: Tensor, positives: Tensor, negatives: Tensor, weights: Tensor) -> Tensor:
    """Return the contrastive loss −log(Σ₊ eˢ / (Σ₊ eˢ + Σ₋ eˢ)): the summed marginal of several positives.

    positives, negatives: (batch, passages) bool, disjoint. A passage in neither does not count. After
    arXiv 2504.05220 (§3); with one positive a row it is InfoNCE.
    """
    all_mass = scores.masked_fill(~(positives | negatives), _MASKED).logsumexp(dim=1)  # (batch,)
    positive_mass = scores.masked_fill(~positives, _MASKED).logsumexp(dim=1)
    has_both = positives.any(dim=1) & negatives.any(dim=1)
    return (weights * (all_mass - positive_mass) * has_both).sum() / len(scores)


def passage_contrastive_loss(scores: Tensor, positives: Tensor, negatives: Tensor, weights: Tensor) -> Tensor:
    """Return the contrastive loss of each passage over the batch's queries: which of them does it answer?

    Over the passages that are positive for a query, the mean of −log(Σ₊ eˢ / (Σ₊ eˢ + Σ₋ eˢ)) down the column, each
    with the mean weight of the queries it is positive for; 0 without one. No further encoding is needed. As in CLIP
    (arXiv 2103.00020, figure 3), where every column has one positive row; here it may have several.
    """
    shares = positives.to(scores.dtype)  # (batch, passages)
    counts = shares.sum(dim=0)  # (passages,)
    column_weights = (weights @ shares) / counts.clamp_min(1.0)
    loss = contrastive_loss(scores.T, positives.T, negatives.T, column_weights)
    return loss * len(counts) / (counts > 0).sum().clamp_min(1)


def negatives_only_loss(scores: Tensor, negatives: Tensor, others: Tensor, weights: Tensor) -> Tensor:
    """Return −log(1 − p_R(negatives)), the only loss of a query without a relevant passage.

    negatives, others: (batch, passages) bool, disjoint: judged not relevant, and the unjudged passages they compete
    with. None of the others is called relevant; the mass may go to any of them.
    """
    return contrastive_loss(scores, others, negatives, weights)


def anchor_penalty(vectors: Tensor, base_vectors: Tensor) -> Tensor:
    """Return ‖E_q − E_q⁰‖², the mean over the batch: how far the queries (batch, dim) have moved from the base's."""
    return (vectors - base_vectors).square().sum(dim=1).mean()
