"""What the cycles, runs, evaluations and decisions of the loop say, in the reader's language; see common.messages."""

from __future__ import annotations

import re

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from common.jobs import JobState
from common.messages import Message, MessageText, message, register_messages
from curation.core.labels import of_measure
from tuning.models import Cycle

# What a training process calls its roads and says of itself: it knows no language but English.
SPOKEN = {
    "both": _("both encoders"),
    "reranker": _("the reranker"),
    "no reranker": _("no reranker"),
    "base": _("as it was"),
    "query": _("the query encoder"),
    "adapter": _("a matrix behind the query encoder"),
    "sft": _("the answers"),
    "dpo": _("the preferences"),
    "loading": _("loading"),
    "scoring": _("scoring"),
    "going on from a bookmark": _("going on from where it was"),
    "stopped by the budget": _("stopped by the budget"),
    "no dev queries": _("no dev queries"),
}

# How a training names the weights dev chose: "both", "reranker, step 5", "sft: step 3; dpo: step 0".
_WEIGHTS = re.compile(r"(?P<of>sft|dpo|reranker)[:,] step (?P<step>\d+)(?P<unchosen>, the last: .*)?")


def spoken(word: str) -> str:
    """What a training process calls a road, in the reader's language."""
    return str(SPOKEN.get(word, word))


def chosen(choice: str) -> str:
    """What dev chose, as a training names it, in the reader's language; words nobody knows stay as they are."""
    return " · ".join(_chosen(part) for part in choice.split("; "))


def _chosen(part: str) -> str:
    found = _WEIGHTS.fullmatch(part)
    if found is None:
        return spoken(part)
    if found["unchosen"]:
        weights = gettext("the weights after step %(step)s, the last: there was no dev split to choose by")
    elif found["step"] == "0":
        weights = gettext("the weights it began with")
    else:
        weights = gettext("the weights after step %(step)s")
    return gettext("%(what)s: %(weights)s") % {"what": spoken(found["of"]), "weights": weights % found.groupdict()}


def measures(names: list[str]) -> Message:
    """The measures by name, with commas between them."""
    return message("measures", names=names)


def _measures(names: list[str]) -> str:
    return ", ".join(map(of_measure, names))


def _state(what: str, state: str) -> str:
    return gettext("%(what)s is %(state)s") % {"what": what, "state": JobState(state).label}


def _silent_at(step: str) -> str:
    return gettext("its worker fell silent while %(step)s") % {"step": Cycle.Step(step).label}


def _spoken(parts: list[str]) -> str:
    return " · ".join(str(SPOKEN.get(part, part)) for part in parts)


_JOBS: dict[str, MessageText] = {
    "is_in_state": _state,
    "evaluation": _("the evaluation"),
    "spoken": _spoken,
    "cancelled_by": _("cancelled by %(person)s"),
    "stopped_at_keyboard": _("stopped at the keyboard"),
    "given_up": _("its worker was lost, and a cycle with other settings was started"),
    "taken_up_again": _("taken up again after its worker was lost"),
    "lost_too_often": _("%(row)s lost its worker too often"),
    "silent_at": _silent_at,
    "process_signalled": _("it was ended by signal %(number)d"),
    "process_ended": _("it ended with status %(number)d"),
    "build_cancelled": _("%(build)s was cancelled"),
    "another_builds": _("another worker builds"),
}

_COLLECTING: dict[str, MessageText] = {
    "comparing_queries": _("comparing queries"),
    "too_little": _("%(n)d settled queries teach something; a dataset needs %(least)d"),
    "too_alike": _("the settled queries are too much alike: none is left to learn from"),
}

_TRAINING: dict[str, MessageText] = {
    "training_retriever": _("training the retriever"),
    "training_generator": _("training the generator"),
    "training_reranker": _("training the reranker"),
    "training_on": _("training on %(n)d queries"),
    "nothing_to_learn": _("neither half has anything to learn from"),
    "no_grades": _("the retriever learns from grades, and the training split has none"),
    "generator_elsewhere": _("the generator is on a server elsewhere: export its training file instead"),
    "no_answers": _("the generator learns from answers, and the training split has none"),
    "taught_by_both": _("grades, and the generator's scores where there are none; it scored %(n)d of %(of)d answers"),
    "taught_by_grades": _("grades alone: %(why)s"),
    "nothing_to_score": _("no settled answer to score"),
    "graded_all": _("people called a passage relevant for every answer"),
    "settings_ask": _("the settings ask for nothing else"),
    "no_time_to_score": _("no answer could be scored in the time"),
    "no_weights": _("This run has made no weights."),
    "weights_gone": _("The weights of this run are no longer on this machine."),
    "nothing_to_merge": _("Only a generator that was trained here has an adapter to merge."),
}

_MEASURING: dict[str, MessageText] = {
    "searching": _("searching with release %(number)d"),
    "answering": _("answering with release %(number)d"),
    "remembering": _("answering from memory with release %(number)d"),
    "guard_set": _("guardrail set %(name)s"),
    "measuring": _("measuring"),
    "n_queries": _("%(n)d queries"),
    "test_empty": _("the test split is empty"),
    "test_leaks": _("the test split leaks: “%(text)s”, or a paraphrase of it, is in training too"),
    "nothing_measured": _("nothing could be measured on the test split"),
    "too_few_for_a_point": _("The training split has %(n)d queries; a point needs %(least)d."),
}

_DECIDING: dict[str, MessageText] = {
    "measures": _measures,
    "measured_only": _("Measured only. %(figures)s"),
    "not_asked": _("Promoted without asking the gate. %(figures)s"),
    "declined": _("Declined: %(why)s. %(figures)s"),
    "promoted_better": _("Promoted: measurably better. %(figures)s"),
    "promoted_not_worse": _("Promoted: measurably not worse than by %(margin).3f. %(figures)s"),
    "champion_gone": _("release %(number)d, which it was measured against, no longer serves"),
    "not_above_margin": _("the interval of %(measures)s does not lie above %(least).3f"),
    "not_above_0": _("the interval of %(measures)s does not lie above 0"),
    "fell": _("%(measure)s fell by %(fall).3f, more than the margin of %(margin).3f"),
    "may_have_fallen": _(
        "%(measure)s may have fallen by more than the margin of %(margin).3f: its interval begins at %(low)+.3f"
    ),
    "unproven": _(
        "Too few queries to prove that these did not get worse, so only their difference was asked: %(guards)s."
    ),
    "rerank_stays": _("The reranker pays for its time and stays."),
    "rerank_left_out": _("The reranker was left out: %(why)s."),
    "rerank_untrained": _("No reranker could be trained: %(why)s"),
    "rerank_not_chosen": _(
        "The reranker that was trained is not used: on the dev split the ranking got no better with it"
        " (nDCG@10 %(without).3f without it, %(reranked).3f with it)."
    ),
    "rerank_not_asked": _("The reranker stays without having been asked whether it pays."),
    "rerank_no_gain": _("against the same release without it, the interval of nDCG@10 does not lie above 0"),
    "rerank_too_slow": _("it takes more time than it is allowed"),
    "rerank_gain": _(
        "Without and with it: nDCG@10 %(champion).3f → %(challenger).3f (%(difference)+.3f; 95 %% interval"
        " %(low)+.3f to %(high)+.3f)."
    ),
    "rerank_time": _(
        "A search takes %(before).0f ms without it and %(after).0f ms with it, %(more).0f ms more;"
        " %(most).0f ms more are allowed."
    ),
    "little_judged": _("only %(share).0f %% of the first ten passages were judged; %(least).0f %% are asked for"),
    "figures_alike": _("%(measure)s %(champion).3f → %(challenger).3f, the same on each of %(queries)d queries."),
    "figures": _(
        "%(measure)s %(champion).3f → %(challenger).3f (%(difference)+.3f; 95 %% interval %(low)+.3f to %(high)+.3f,"
        " p = %(p).4f; %(queries)d queries: cannot see less than %(smallest_visible).2g)."
    ),
}

for _words in (_JOBS, _COLLECTING, _TRAINING, _MEASURING, _DECIDING):
    register_messages(_words)
