"""Labels and messages of cycles, runs, evaluations and decisions, in the reader's language; see common.messages."""

from __future__ import annotations

import re

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from common.jobs import JobState
from common.messages import Message, MessageText, message, register_messages
from curation.core.labels import metric_label
from tuning.models import Cycle

# Names of training strategies and notes in the metrics of a training process, which is not translated.
PROCESS_TERMS = {
    "both": _("dual encoder"),
    "query": _("query encoder"),
    "adapter": _("linear query adapter"),
    "base": _("baseline"),
    "reranker": _("reranker"),
    "no reranker": _("no reranker"),
    "sft": _("supervised fine-tuning"),
    "dpo": _("preference tuning (DPO)"),
    "loading": _("loading"),
    "scoring": _("scoring"),
    "resumed from its training state": _("resumed"),
    "going on from a bookmark": _("resumed"),  # of earlier versions
    "stopped by the budget": _("stopped by the time budget"),
    "no dev queries": _("no dev queries"),
}

# How a training process names the weights that dev selected: "both", "reranker, step 5", "sft: step 3; dpo: step 0".
_WEIGHTS = re.compile(r"(?P<stage>sft|dpo|reranker)[:,] step (?P<step>\d+)(?P<unchosen>, the last: .*)?")


def process_term(term: str) -> str:
    """Return a term of a training process in the reader's language; an unknown term unchanged."""
    return str(PROCESS_TERMS.get(term, term))


def choice_label(choice: str) -> str:
    """Return the choice of a training process in the reader's language; unknown parts unchanged."""
    return " · ".join(_choice_part(part) for part in choice.split("; "))


def _choice_part(part: str) -> str:
    match = _WEIGHTS.fullmatch(part)
    if match is None:
        return process_term(part)
    if match["unchosen"]:
        weights = gettext("the weights after step %(step)s, the last: there is no dev split to choose by")
    elif match["step"] == "0":
        weights = gettext("the initial weights")
    else:
        weights = gettext("the weights after step %(step)s")
    return gettext("%(what)s: %(weights)s") % {
        "what": process_term(match["stage"]),
        "weights": weights % match.groupdict(),
    }


def measure_list(names: list[str]) -> Message:
    """Return the labels of the measures, with commas between them, as a message."""
    return message("measures", names=names)


def _measures(names: list[str]) -> str:
    return ", ".join(map(metric_label, names))


def _state(what: str, state: str) -> str:
    return gettext("%(what)s is %(state)s") % {"what": what, "state": JobState(state).label}


def _silent_at(step: str) -> str:
    return gettext("Worker stopped responding while %(step)s") % {"step": Cycle.Step(step).label}


def _process_terms(parts: list[str]) -> str:
    return " · ".join(map(process_term, parts))


_JOBS: dict[str, MessageText] = {
    "is_in_state": _state,
    "evaluation": _("the evaluation"),
    "spoken": _process_terms,
    "cancelled_by": _("cancelled by %(person)s"),
    "stopped_at_keyboard": _("stopped from the keyboard"),
    "given_up": _("The worker was lost, and a cycle with other settings was started"),
    "taken_up_again": _("resumed after its worker was lost"),
    "lost_too_often": _("%(row)s lost its worker too often"),
    "silent_at": _silent_at,
    "process_signalled": _("The process was ended by signal %(number)d"),
    "process_ended": _("The process ended with status %(number)d"),
    "build_cancelled": _("%(build)s was cancelled"),
    "another_builds": _("another worker is building the index"),
}

_DATASETS: dict[str, MessageText] = {
    "comparing_queries": _("comparing queries"),
    "too_little": _("%(n)d resolved queries can be used; a dataset needs %(least)d"),
    "too_alike": _("the resolved queries are too similar: no query is left to train on"),
}

_TRAINING: dict[str, MessageText] = {
    "training_retriever": _("training the retriever"),
    "training_generator": _("training the generator"),
    "training_reranker": _("training the reranker"),
    "training_on": _("training on %(n)d queries"),
    "nothing_to_learn": _("there is no training data for either component"),
    "no_grades": _("the retriever learns from grades, and the training split has none"),
    "generator_elsewhere": _("the generator runs on another server: export its training data instead"),
    "no_answers": _("the generator learns from answers, and the training split has none"),
    "taught_by_both": _(
        "grades, and the language model's scores where there is no relevant passage; %(n)d of %(of)d answers scored"
    ),
    "taught_by_grades": _("grades only: %(why)s"),
    "nothing_to_score": _("there is no resolved answer to score"),
    "graded_all": _("every answer has a relevant passage"),
    "settings_ask": _("the settings say so"),
    "no_time_to_score": _("no answer could be scored within the time limit"),
    "no_weights": _("This run has no weights."),
    "weights_gone": _("The weights of this run are no longer on this machine."),
    "nothing_to_merge": _("Only a generator that was trained here has an adapter to merge."),
}

_EVALUATION: dict[str, MessageText] = {
    "searching": _("searching with release %(number)d"),
    "answering": _("answering with release %(number)d"),
    "remembering": _("answering without passages with release %(number)d"),
    "guard_set": _("guardrail set %(name)s"),
    "measuring": _("measuring"),
    "n_queries": _("%(n)d queries"),
    "test_empty": _("the test split is empty"),
    "test_leaks": _("the test split leaks: “%(text)s”, or a paraphrase of it, is in training too"),
    "nothing_measured": _("nothing could be measured on the test split"),
    "too_few_for_a_point": _("The training split has %(n)d queries; a point needs %(least)d."),
}

_DECISIONS: dict[str, MessageText] = {
    "measures": _measures,
    "measured_only": _("Measured only. %(figures)s"),
    "not_asked": _("Promoted without the gate. %(figures)s"),
    "declined": _("Not promoted: %(why)s. %(figures)s"),
    "promoted_better": _("Promoted: significant gain. %(figures)s"),
    "promoted_not_worse": _("Promoted: not worse by more than %(margin).3f. %(figures)s"),
    "champion_gone": _("release %(number)d, the baseline of the evaluation, is no longer live"),
    "not_above_margin": _("the interval of %(measures)s does not lie above %(least).3f"),
    "not_above_0": _("no significant gain in %(measures)s"),
    "fell": _("%(measure)s fell by %(fall).3f, more than the margin of %(margin).3f"),
    "may_have_fallen": _(
        "%(measure)s may have fallen by more than the margin of %(margin).3f: its interval starts at %(low)+.3f"
    ),
    "unproven": _("Too few queries for an interval test, so only the difference was checked: %(guards)s."),
    "rerank_stays": _("The reranker is kept: the gain is significant and the latency is within the limit."),
    "rerank_left_out": _("The reranker was left out: %(why)s."),
    "rerank_untrained": _("The reranker could not be trained: %(why)s"),
    "rerank_not_chosen": _(
        "The trained reranker is not used: it does not improve the ranking of the dev split"
        " (nDCG@10 %(without).3f without it, %(reranked).3f with it)."
    ),
    "rerank_not_asked": _("The reranker is kept; its trade-off was not checked."),
    "rerank_no_gain": _("no significant gain in nDCG@10 against the same release without it"),
    "rerank_too_slow": _("the latency is above the limit"),
    "rerank_gain": _(
        "Without and with it: nDCG@10 %(champion).3f → %(challenger).3f (%(difference)+.3f; 95 %% interval"
        " %(low)+.3f to %(high)+.3f)."
    ),
    "rerank_time": _(
        "A search takes %(before).0f ms without it and %(after).0f ms with it: %(more).0f ms more;"
        " the limit is %(most).0f ms."
    ),
    "little_judged": _("only %(share).0f %% of the first ten passages were judged; the policy requires %(least).0f %%"),
    "figures_alike": _("%(measure)s %(champion).3f → %(challenger).3f, equal for each of %(queries)d queries."),
    "figures": _(
        "%(measure)s %(champion).3f → %(challenger).3f (%(difference)+.3f; 95 %% interval %(low)+.3f to %(high)+.3f,"
        " p = %(p).4f; %(queries)d queries, smallest detectable difference %(smallest_visible).2g)."
    ),
}

for _texts in (_JOBS, _DATASETS, _TRAINING, _EVALUATION, _DECISIONS):
    register_messages(_texts)
