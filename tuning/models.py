"""What the machine learns from what people decided."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from common.jobs import Job, JobQuerySet, JobState
from common.messages import MessageField
from curation.models import Generator, Judgement, Project, Query, Release, Review, Unchangeable
from retrieval.models import Encoder, Reranker


class Component(models.TextChoices):
    """What learns: a component of the pair, or the retriever's optional last stage."""

    RETRIEVER = "retriever", _("retriever")
    GENERATOR = "generator", _("generator")
    RERANKER = "reranker", _("reranker")


COMPONENTS = [(component.value, component.label) for component in (Component.RETRIEVER, Component.GENERATOR)]


class Gate(models.TextChoices):
    AUTO = "auto", _("promote what is measured to be better")
    ALWAYS = "always", _("promote whatever was trained")
    NEVER = "never", _("measure only")


class TargetRule(models.TextChoices):
    """What the gate asks of the measure a component was trained for."""

    BETTER = "better", _("measurably better")
    NOT_WORSE = "not_worse", _("measurably not worse")


class GuardrailRule(models.TextChoices):
    """How the gate tells that a guardrail set got worse."""

    AUTO = "auto", _("by its interval where the split is large enough, else by its difference")
    INTERVAL = "interval", _("by its interval")
    DIFFERENCE = "difference", _("by its difference")


class Dataset(models.Model):
    """Settled work, frozen: split by query cluster before any expansion, hashed, never edited."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="datasets")
    number = models.PositiveIntegerField()
    seed = models.PositiveIntegerField(default=0)
    path = models.CharField(max_length=300, help_text=_("Folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(default=dict, help_text=_("Rows and queries of each split."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="one_dataset_per_number")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.project} dataset {self.number}"


class Split(models.TextChoices):
    TRAIN = "train", _("train")
    DEV = "dev", _("dev")
    TEST = "test", _("test")


class DatasetQuery(models.Model):
    """One settled query inside a dataset: the lineage from its rows to the review and the judgements behind it."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="queries")
    query = models.ForeignKey(Query, on_delete=models.PROTECT, related_name="in_datasets")
    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="in_datasets")
    split = models.CharField(max_length=5, choices=Split)
    cluster = models.CharField(max_length=64, help_text=_("Paraphrases share it, and a split."))
    judgements = models.ManyToManyField(Judgement, related_name="in_datasets")

    class Meta:
        verbose_name_plural = "dataset queries"
        constraints = [models.UniqueConstraint(fields=["dataset", "query"], name="a_query_is_in_a_dataset_once")]

    def __str__(self) -> str:
        return f"{self.dataset}: {self.query}"


class Cycle(Job):
    """One cycle of the loop: collect → train → index → evaluate → decide. The sweep takes up what was lost.

    `step` is the one to do next, so a cycle whose worker died goes on where it stood.
    """

    class Step(models.TextChoices):
        COLLECT = "collect", _("collecting")
        TRAIN = "train", _("training")
        INDEX = "index", _("indexing")
        EVALUATE = "evaluate", _("evaluating")
        DECIDE = "decide", _("deciding")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="cycles")
    step = models.CharField(max_length=10, choices=Step, default=Step.COLLECT)
    only = models.CharField(max_length=10, choices=COMPONENTS, blank=True, help_text=_("Empty: both."))
    gate = models.CharField(max_length=6, choices=Gate, default=Gate.AUTO)
    seed = models.PositiveIntegerField(default=0)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the runs' settings."))
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="cycles")
    challenger = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="cycles")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_unfinished_cycle_per_project",
            )
        ]

    def __str__(self) -> str:
        return f"{self.project} cycle {self.pk}"

    def move_on(self, **changes: object) -> bool:
        """running → queued at its next step, by its holder only; false when the claim was lost.

        Each step may be attempted anew, so the attempts start from 0.
        """
        free = {"state": JobState.QUEUED, "worker": "", "attempts": 0, "heartbeat_at": timezone.now()}
        cleared = {"progress_done": 0, "progress_total": 0, "progress_note": ""}
        moved = bool(self._held().update(**free, **cleared, step=self.following(), **changes))
        self.refresh_from_db()
        return moved

    def following(self) -> str:
        """The step after this one; the last follows itself."""
        steps = self.Step.values
        return steps[min(steps.index(self.step) + 1, len(steps) - 1)]


class Run(Job):
    """One training, in a process of its own. Its result is one row: an Encoder, a Generator or a Reranker.

    A reranker's may end without one: on dev the ranking was better as it was.
    """

    cycle = models.ForeignKey(Cycle, on_delete=models.CASCADE, related_name="runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    component = models.CharField(max_length=10, choices=Component)
    settings = models.JSONField(default=dict, help_text=_("The specification the training process was given."))
    seed = models.PositiveIntegerField(default=0)
    path = models.CharField(
        max_length=300, blank=True, help_text=_("Folder under DATA_DIR: spec, metrics, checkpoint.")
    )
    pid = models.PositiveIntegerField(null=True, blank=True)
    loss = models.FloatField(null=True, blank=True)
    seconds_left = models.FloatField(null=True, blank=True)
    seconds = models.FloatField(default=0)
    record = models.JSONField(default=dict, blank=True, help_text=_("Code and dependency versions, hardware, choice."))
    parent_encoder = models.ForeignKey(Encoder, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    parent_generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    encoder = models.ForeignKey(Encoder, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    reranker = models.ForeignKey(Reranker, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["cycle", "component"], name="one_run_per_component_and_cycle")]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.component})"


class LearningCurve(Job):
    """How good one component gets with how many judged queries: a training for each size, on nested parts of a dataset.

    A point is {"queries", "grades", "value", "low", "high", "seconds", "per_query"}; the first one is the untuned
    component, with 0 queries. The weights of a point are not kept.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="learning_curves")
    dataset = models.ForeignKey(
        Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="learning_curves"
    )
    component = models.CharField(max_length=10, choices=COMPONENTS)
    measure = models.CharField(max_length=20)
    sizes = models.JSONField(
        default=list, blank=True, help_text=_("Queries of each training, ascending; empty: 50, 100, 200 …")
    )
    seed = models.PositiveIntegerField(default=0)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the trainings' settings."))
    points = models.JSONField(default=list)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_unfinished_learning_curve_per_project",
            )
        ]

    def __str__(self) -> str:
        return f"{self.project} learning curve {self.pk}"


class Evaluation(Job):
    """Champion and challenger on the same held-out queries."""

    cycle = models.OneToOneField(Cycle, on_delete=models.CASCADE, related_name="evaluation")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="evaluations")
    champion = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")
    challenger = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="evaluations")
    measures = models.JSONField(
        default=dict,
        help_text=_("Measure → {champion, challenger, difference, low, high, p, queries, judged@10…}."),
    )
    per_query = models.JSONField(default=dict, help_text=_("Query → measure → [champion, challenger]."))
    reranking = models.JSONField(
        default=dict, blank=True, help_text=_("What the challenger's reranker brings and takes; empty: it has none.")
    )

    objects = JobQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.challenger} against {self.champion}"


class Decision(models.Model):
    """What the gate said of a challenger, with its numbers and its sentence."""

    evaluation = models.OneToOneField(Evaluation, on_delete=models.PROTECT, related_name="decision")
    promoted = models.BooleanField()
    reason = MessageField()
    numbers = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.reason)


class ComparisonPair(models.Model):
    """What champion and challenger made of one test query, kept where it differs, for people to compare.

    A side is {"passages": ids best first, "answer": text, or null where none was written}.
    """

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="pairs")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="+")
    champion = models.JSONField()
    challenger = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["evaluation", "query"], name="one_pair_per_query")]

    def __str__(self) -> str:
        return f"{self.evaluation}: {self.query}"


class VoteQuerySet(models.QuerySet["Vote"]):
    """Reading and adding: whoever has voted has been told the names."""

    def update(self, **changes: object) -> int:
        raise Unchangeable(_("A vote stands."))

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("A vote stands."))


class Vote(models.Model):
    """Which of two sides one person preferred, not knowing whose they were. Rows are only ever added."""

    class Choice(models.TextChoices):
        CHAMPION = "champion", _("the champion's")
        CHALLENGER = "challenger", _("the challenger's")
        TIE = "tie", _("both alike")
        NEITHER = "neither", _("neither")

    pair = models.ForeignKey(ComparisonPair, on_delete=models.CASCADE, related_name="votes")
    voter = models.ForeignKey(django_settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    choice = models.CharField(max_length=10, choices=Choice)
    champion_was_a = models.BooleanField(help_text=_("How the sides stood on the person's page."))
    at = models.DateTimeField(auto_now_add=True)

    objects = VoteQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "voter"], name="one_vote_per_person_and_pair")]

    def __str__(self) -> str:
        return f"{self.voter}: {self.choice}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Unchangeable(_("A vote stands."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("A vote stands."))


class Policy(models.Model):
    """When a project's loop turns by itself, and what its gate asks."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="policy")
    is_active = models.BooleanField(default=False)
    min_new_queries = models.PositiveIntegerField(
        default=50, validators=[MinValueValidator(1)], help_text=_("Newly settled queries before a cycle.")
    )
    min_hours_between = models.FloatField(
        default=24, validators=[MinValueValidator(0.0)], help_text=_("Hours between two cycles, at the least.")
    )
    only = models.CharField(max_length=10, choices=COMPONENTS, blank=True, help_text=_("Empty: both."))
    gate = models.CharField(max_length=6, choices=Gate, default=Gate.AUTO)
    settings = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the runs' settings."))
    guardrail_margin = models.FloatField(
        default=0.01,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("How much worse a guardrail set may be."),
    )
    target_rule = models.CharField(max_length=10, choices=TargetRule, default=TargetRule.BETTER)
    guardrail_rule = models.CharField(max_length=10, choices=GuardrailRule, default=GuardrailRule.AUTO)
    log_prob_margin = models.FloatField(
        default=0.5,  # a new manner of answering alone moves it by some tenths
        validators=[MinValueValidator(0.0), MaxValueValidator(10.0)],
        help_text=_("How far the mean log-probability of a guardrail's answers may fall, in nats per token."),
    )
    min_judged = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("judged@10 both must reach; 0 asks nothing."),
    )

    max_rerank_ms = models.FloatField(
        default=300,
        validators=[MinValueValidator(0.0)],
        help_text=_("How many milliseconds a reranker may add to a search."),
    )

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return f"{self.project}: {self.min_new_queries} queries, {self.min_hours_between} h"

    @classmethod
    def of(cls, project: Project) -> Policy:
        """The project's policy, or the defaults of one where it has none."""
        return cls.objects.filter(project=project).first() or cls(project=project)


class GuardrailSet(models.Model):
    """Questions no one tunes for, on which a challenger may not get worse: what a tuning forgets shows here.

    One frozen folder: corpus.jsonl, queries.jsonl, qrels.tsv and answers.jsonl, the last three as far as there
    are any. With grades it measures an encoder, with answers a generator that is given no passage.
    """

    class Origin(models.TextChoices):
        BUILT_IN = "built_in", _("comes with Tandem")
        PROJECT = "project", _("another project")
        FOLDER = "folder", _("uploaded files")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guardrail_sets")
    name = models.SlugField(max_length=60)
    origin = models.CharField(max_length=10, choices=Origin)
    path = models.CharField(max_length=300, help_text=_("Folder under DATA_DIR; of the code for a built-in one."))
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(default=dict, help_text=_("Passages, queries, grades and answers."))
    margin = models.FloatField(
        default=0.03,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("How much worse nDCG@10 or F1 may be on it."),
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_guardrail_set_per_name")]
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name
