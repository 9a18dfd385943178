"""People, and what they think of the passages."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from curation.engine import likeness
from retrieval.engine.fusion import DEFAULT_WEIGHT
from retrieval.models import Corpus, IndexBuild, Passage

SHARE = [MinValueValidator(0.0), MaxValueValidator(1.0)]


def default_grades() -> list[dict[str, object]]:
    return [
        {"grade": 0, "label": "Not relevant", "description": "Says nothing that helps."},
        {"grade": 1, "label": "Related", "description": "On the subject, but does not answer."},
        {"grade": 2, "label": "Relevant", "description": "Answers a part."},
        {"grade": 3, "label": "Answers it", "description": "Answers the question."},
    ]


def reasons_field(help_text: object) -> models.JSONField:
    """[{"code", "args"}]: a sentence is stored as what it says, and put in words for whoever reads it."""
    empty = models.Value([], models.JSONField())
    return models.JSONField(default=list, db_default=empty, blank=True, help_text=help_text)


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: AbstractBaseUser) -> Self:
        """Projects the person is a member of; all of them for a superuser."""
        if getattr(user, "is_superuser", False):
            return self.all()
        return self.filter(memberships__user_id=user.pk)


class Project(models.Model):
    """One assistant that a team makes better."""

    class Reveal(models.TextChoices):
        NEVER = "never", _("never")
        AFTER_SUBMIT = "after_submit", _("after one's own submit")

    class GoldFeedback(models.TextChoices):
        AT_ONCE = "at_once", _("at once")
        LATER = "later", _("later")

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="projects")
    language = models.CharField(max_length=10, choices=settings.LANGUAGES, default="en")
    description = models.TextField(blank=True)
    grades = models.JSONField(
        default=default_grades, help_text=_("Labels and descriptions of 0–3; locked once judged.")
    )
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text=_("People who judge each query.")
    )
    lease_seconds = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(30)], help_text=_("How long a claim lasts without a sign of life.")
    )
    pool_depth = models.PositiveSmallIntegerField(default=10, help_text=_("Passages frozen for judging, per query."))
    reveal = models.CharField(max_length=20, choices=Reveal, default=Reveal.AFTER_SUBMIT)
    random_share = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0.5), MaxValueValidator(1.0)],
        help_text=_("Share of claims taken at random; the rest by value."),
    )
    gold_rate = models.FloatField(
        default=0.0, validators=SHARE, help_text=_("Share of claims that are gold questions.")
    )
    gold_feedback = models.CharField(max_length=10, choices=GoldFeedback, default=GoldFeedback.LATER)
    judges_edits = models.BooleanField(
        default=False,
        db_default=False,
        help_text=_("When a judged passage is edited, put its new text into the queue by itself."),
    )
    passes_on = models.BooleanField(
        default=True,
        db_default=True,
        help_text=_("Offer settled grades to near-duplicates and paraphrases, for a reviewer to confirm."),
    )
    review_gap = models.PositiveSmallIntegerField(default=2, help_text=_("Grades this far apart go to a reviewer."))
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Guidelines(models.Model):
    """How to judge, as it stood from one day on. Never edited: a change is the next version."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    text = models.TextField(help_text=_("Markdown."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="one_text_per_version")]
        ordering = ["-version"]
        verbose_name_plural = "guidelines"

    def __str__(self) -> str:
        return f"{self.project} v{self.version}"


class Membership(models.Model):
    """What a person may do in a project. Each role may do what the ones before it may."""

    class Role(models.TextChoices):
        ANNOTATOR = "annotator", _("annotator")
        REVIEWER = "reviewer", _("reviewer")
        ENGINEER = "engineer", _("engineer")
        MANAGER = "manager", _("manager")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role, default=Role.ANNOTATOR)
    daily_quota = models.PositiveIntegerField(default=0, help_text=_("Submits per day; 0 is no limit."))
    is_paused = models.BooleanField(default=False)
    claims = models.PositiveIntegerField(default=0, editable=False, help_text=_("Claims so far, gold left out."))
    random_claims = models.PositiveIntegerField(default=0, editable=False, help_text=_("Of them, drawn at random."))
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_person")]

    def __str__(self) -> str:
        return f"{self.user} · {self.role}"


class Preferences(models.Model):
    """How one person likes to work: keys and toggles, in every project."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    keys = models.JSONField(default=dict, blank=True, help_text=_("Action → key, where it differs from the default."))
    mark_words = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return str(self.user)


class Generator(models.Model):
    """Weights that write answers: a folder or hub name with an optional adapter, or a server elsewhere."""

    class Kind(models.TextChoices):
        LOCAL = "local", _("local")
        API = "api", _("OpenAI-compatible server")

    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.LOCAL)
    base_path = models.TextField(help_text=_("Folder or hub name of the base weights; the address of a server."))
    adapter_path = models.TextField(blank=True, help_text=_("LoRA folder under DATA_DIR."))
    sha256 = models.CharField(max_length=64, unique=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ReleaseQuerySet(models.QuerySet["Release"]):
    def serving(self) -> Self:
        return self.filter(state=Release.State.SERVING)


class Release(models.Model):
    """What answers: a build and a generator that were measured as a pair, switched and rolled back as one.

    candidate ──switch──► serving ──switch to another──► retired ──roll back──► serving
        └────────decline────► declined ──switch, where a person overrules the gate──► serving
    """

    class State(models.TextChoices):
        CANDIDATE = "candidate", _("candidate")
        SERVING = "serving", _("serving")
        RETIRED = "retired", _("retired")
        DECLINED = "declined", _("declined")

    class Answering(models.TextChoices):
        TOGETHER = "together", _("one prompt with the best passages")
        PARALLEL = "parallel", _("one prompt per passage, mixed by p_R")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="releases")
    number = models.PositiveIntegerField(help_text=_("1, 2, 3 … within the project; 1 is the untuned base."))
    build = models.ForeignKey(IndexBuild, on_delete=models.PROTECT, related_name="releases")
    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="releases")
    fusion_weight = models.FloatField(
        default=DEFAULT_WEIGHT, validators=SHARE, help_text=_("Share of the dense score.")
    )
    prompt = models.TextField(help_text=_("With {passages} and {question}."))
    refusal = models.CharField(max_length=300, help_text=_("The answer when the passages hold none."))
    answer_passages = models.PositiveSmallIntegerField(default=1, help_text=_("Passages in the prompt."))
    answering = models.CharField(max_length=10, choices=Answering, default=Answering.TOGETHER)
    state = models.CharField(max_length=10, choices=State, default=State.CANDIDATE)
    previous = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Served before this one."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    served_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_release_per_number"),
            models.UniqueConstraint(fields=["project"], condition=Q(state="serving"), name="one_serving_release"),
        ]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.project} release {self.number}"


class TextKeyField(models.CharField):
    """The name of the row's text, written with the row: equal where only case and punctuation differ."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        name = likeness.name_of(getattr(model_instance, "text", ""))
        setattr(model_instance, self.attname, name)
        return name

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class QueryQuerySet(models.QuerySet["Query"]):
    def settled(self) -> Self:
        return self.filter(state=Query.State.SETTLED)

    def waiting(self) -> Self:
        """Asked, and not yet settled."""
        return self.exclude(state=Query.State.SETTLED)


class Query(models.Model):
    """A question someone really asked.

    open ──every slot submitted──► judged ──agree──► settled ──reopen──► in review
                                     │                  ▲
                                     └─disagree─► in review (settle, or return → open)
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        JUDGED = "judged", _("judged")
        IN_REVIEW = "in_review", _("in review")
        SETTLED = "settled", _("settled")

    class Source(models.TextChoices):
        PAGE = "page", _("page")
        API = "api", "API"
        COMMAND = "command", _("command")
        IMPORT = "import", _("import")
        SAMPLE = "sample", _("sample")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queries")
    external_id = models.CharField(max_length=300)
    text = models.TextField()
    source = models.CharField(max_length=10, choices=Source, default=Source.PAGE)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    overlap = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("Overrides the project's."))
    metadata = models.JSONField(default=dict, blank=True)
    text_key = TextKeyField(max_length=16, db_default="", editable=False, help_text=_("Of the text; finds repeats."))
    stratum = models.CharField(
        max_length=100, blank=True, help_text=_("The document it found first: queries of one subject.")
    )
    passed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When its grades were last passed on; empty: due.")
    )
    disagreement = models.FloatField(
        null=True, blank=True, help_text=_("0–1, of retriever and language model when last trained; empty: unknown.")
    )
    is_evaluation = models.BooleanField(default=False, help_text=_("Of the random evaluation sample; never steered."))
    gold = models.JSONField(null=True, blank=True, help_text=_("Known grades, passage id → grade: a gold question."))
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="asked"
    )
    asked_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = QueryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "queries"
        constraints = [models.UniqueConstraint(fields=["project", "external_id"], name="one_query_per_id")]
        indexes = [
            models.Index(fields=["project", "state"], name="query_by_state"),
            models.Index(fields=["project", "settled_at"], name="query_by_settled"),
            models.Index(fields=["project"], condition=Q(gold__isnull=False), name="gold_by_project"),
            models.Index(fields=["project", "text_key"], name="query_by_text"),
            models.Index(fields=["project", "stratum"], name="query_by_stratum"),
            models.Index(fields=["project", "settled_at"], condition=Q(passed_at=None), name="query_to_pass_on"),
            models.Index(fields=["project", "asked_at"], condition=Q(state="open"), name="open_by_age"),
            models.Index(
                fields=["project", "stratum"], condition=Q(disagreement__isnull=False), name="query_by_disagreement"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]

    @property
    def slots(self) -> int:
        """How many people are to judge it."""
        return self.overlap or self.project.overlap


class Ranking(models.Model):
    """What a build answered to a query, frozen as it was shown."""

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="rankings")
    build = models.ForeignKey(IndexBuild, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    release = models.ForeignKey(Release, null=True, blank=True, on_delete=models.PROTECT, related_name="rankings")
    mode = models.CharField(max_length=10, default="hybrid")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"ranking {self.pk} of {self.query}"


class ShownPassage(models.Model):
    """One place of a ranking. Passages that a curator added by search have no score."""

    ranking = models.ForeignKey(Ranking, on_delete=models.CASCADE, related_name="shown")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="shown")
    rank = models.PositiveSmallIntegerField(help_text=_("From 1."))
    score = models.FloatField(null=True, blank=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["rank"]
        constraints = [
            models.UniqueConstraint(fields=["ranking", "passage"], name="a_passage_is_shown_once"),
            models.UniqueConstraint(fields=["ranking", "rank"], name="one_passage_per_rank"),
        ]

    def __str__(self) -> str:
        return f"{self.rank}. {self.passage}"


class Draft(models.Model):
    """The answer a release's generator wrote from a ranking."""

    ranking = models.OneToOneField(Ranking, on_delete=models.CASCADE, related_name="draft")
    text = models.TextField()
    generator = models.ForeignKey(Generator, null=True, blank=True, on_delete=models.SET_NULL, related_name="drafts")
    seconds = models.FloatField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def open(self) -> Self:
        return self.filter(state=Assignment.State.OPEN)

    def new_to(self, user: AbstractBaseUser) -> Self:
        """Of queries the person has never held; a top-up asks of texts that they have not had."""
        held = Assignment.objects.filter(query=OuterRef("query"), curator_id=user.pk)
        is_top_up = ExpressionWrapper(OuterRef("is_top_up"), models.BooleanField())
        same = held.annotate(asks_anew=is_top_up).filter(Q(asks_anew=False) | Q(ranking=OuterRef("ranking")))
        return self.filter(~Exists(same))

    def open_for(self, user: AbstractBaseUser) -> Self:
        """Free slots of queries the person has never held."""
        return self.open().new_to(user)

    def held_by(self, user: AbstractBaseUser) -> Self:
        """Claimed by the person, whether the lease still runs or not."""
        return self.filter(curator_id=user.pk, state=Assignment.State.CLAIMED)

    def submitted(self) -> Self:
        return self.filter(state=Assignment.State.SUBMITTED)

    def overdue(self) -> Self:
        return self.filter(state=Assignment.State.CLAIMED, lease_until__lt=timezone.now())


class Assignment(models.Model):
    """One person's turn at one query: a slot, open until somebody claims it.

    open ──claim──► claimed ──submit──► submitted ──return──► claimed
      ▲                │ └─hand back / skip─► handed_back (a fresh open row takes the slot)
      └── fresh row ───┴──lease over────────► lapsed (likewise); a late submit lands if the
                                              fresh row is still open, else it is kept as an extra
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        CLAIMED = "claimed", _("claimed")
        SUBMITTED = "submitted", _("submitted")
        HANDED_BACK = "handed_back", _("handed back")
        LAPSED = "lapsed", _("lapsed")

    HOLDING = [State.OPEN, State.CLAIMED, State.SUBMITTED]

    class Drawn(models.TextChoices):
        RANDOM = "random", _("at random")
        VALUE = "value", _("by value")
        GOLD = "gold", _("as a gold question")
        CHOSEN = "chosen", _("by name")
        CONFIRMED = "confirmed", _("by confirming a grade")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="assignments")
    slot = models.PositiveSmallIntegerField(help_text=_("1 … overlap."))
    is_extra = models.BooleanField(default=False, help_text=_("Came after its slot was filled; kept, not counted."))
    is_top_up = models.BooleanField(
        default=False, db_default=False, help_text=_("Asks only for passages that were edited after they were judged.")
    )
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments"
    )
    ranking = models.ForeignKey(Ranking, null=True, blank=True, on_delete=models.PROTECT, related_name="assignments")
    guidelines = models.ForeignKey(Guidelines, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    value = models.FloatField(default=0, help_text=_("What judging it would bring; higher first."))
    chance = models.FloatField(default=0, help_text=_("Its place in the random order."))
    reasons = reasons_field(_("Why this one, as codes of wording.REASONS."))
    why = models.CharField(max_length=200, blank=True, help_text=_("The same in words, from before there were codes."))
    drawn = models.CharField(max_length=10, choices=Drawn, blank=True, help_text=_("How the claim came to it."))
    order = models.JSONField(default=list, blank=True, help_text=_("Passage ids in the order this person saw them."))
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    active_seconds = models.FloatField(default=0)
    is_unanswerable = models.BooleanField(default=False, help_text=_("The corpus holds no answer."))
    is_flagged = models.BooleanField(default=False)
    comment = models.TextField(blank=True, help_text=_("Of a flag, a skip or a return."))

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query", "slot"],
                condition=Q(is_extra=False, state__in=["open", "claimed", "submitted"]),
                name="one_assignment_per_slot",
            ),
            models.UniqueConstraint(
                fields=["query", "curator"],
                condition=Q(curator__isnull=False, is_top_up=False),
                name="one_assignment_per_curator",
            ),
            models.UniqueConstraint(
                fields=["query", "curator", "ranking"],
                condition=Q(curator__isnull=False, is_top_up=True),
                name="one_top_up_per_curator_and_ranking",
            ),
            models.CheckConstraint(
                condition=Q(state="open", curator=None) | (~Q(state="open") & Q(curator__isnull=False)),
                name="open_means_nobody",
            ),
        ]
        indexes = [
            models.Index(F("project"), F("value").desc(), F("id"), condition=Q(state="open"), name="open_by_value"),
            models.Index(fields=["project", "chance"], condition=Q(state="open"), name="open_by_chance"),
            models.Index(fields=["lease_until"], condition=Q(state="claimed"), name="claimed_by_lease"),
            models.Index(fields=["curator", "state", "submitted_at"], name="assignment_by_curator"),
            models.Index(fields=["project", "submitted_at"], name="assignment_by_submit"),
        ]

    def __str__(self) -> str:
        return f"{self.query} · slot {self.slot}"


class JudgementQuerySet(models.QuerySet["Judgement"]):
    def standing(self) -> Self:
        """Not withdrawn."""
        return self.filter(withdrawn_at=None)

    def submitted(self) -> Self:
        """Standing, of work its curator has submitted."""
        return self.standing().filter(assignment__state=Assignment.State.SUBMITTED)

    def settled(self) -> Self:
        return self.submitted().filter(assignment__query__state=Query.State.SETTLED)


class Judgement(models.Model):
    """What one curator thinks of one passage for one query. No row: unjudged; no grade: can't tell."""

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="judgements")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="judgements")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="judgements")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgements")
    grade = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(3)])
    content_hash = models.CharField(max_length=64, help_text=_("Of the passage as it was judged."))
    evidence = models.JSONField(default=list, blank=True, help_text=_("Spans [start, end) of the passage's text."))
    shown_position = models.PositiveSmallIntegerField(null=True, blank=True, help_text=_("Where it stood, from 1."))
    active_seconds = models.FloatField(default=0)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = JudgementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query", "passage", "curator"],
                condition=Q(withdrawn_at=None),
                name="one_grade_per_curator_and_passage",
            ),
            models.CheckConstraint(condition=Q(grade=None) | Q(grade__lte=3), name="grade_is_0_to_3"),
        ]

    def __str__(self) -> str:
        return f"{self.curator}: {'?' if self.grade is None else self.grade}"


class Answer(models.Model):
    """The answer as one curator would have it."""

    assignment = models.OneToOneField(Assignment, on_delete=models.CASCADE, related_name="answer")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="answers")
    curator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="answers")
    draft = models.ForeignKey(Draft, null=True, blank=True, on_delete=models.SET_NULL, related_name="answers")
    text = models.TextField(blank=True)
    citations = models.JSONField(default=list, blank=True, help_text=_("[{sentence, passage, evidence}]"))
    unsupported = models.JSONField(default=list, blank=True, help_text=_("Spans [start, end) no passage supports."))
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.text[:80]


class ReviewQuerySet(models.QuerySet["Review"]):
    def waiting(self) -> Self:
        return self.filter(state=Review.State.WAITING)

    def current(self) -> Self:
        return self.filter(state=Review.State.SETTLED)


class Review(models.Model):
    """How the judgements of one query became one opinion.

    waiting ──settle──► settled ──reopen──► reopened
       └──────return──► returned
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SETTLED = "settled", _("settled")
        RETURNED = "returned", _("returned")
        REOPENED = "reopened", _("reopened")

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="reviews")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reasons = reasons_field(_("Why it came to a reviewer, as codes of wording.REASONS."))
    why = models.CharField(max_length=300, blank=True, help_text=_("The same in words, from before there were codes."))
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="reviews"
    )
    comment = models.TextField(blank=True)
    answer = models.TextField(blank=True, help_text=_("The settled answer; empty when there is none."))
    is_unanswerable = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query"], condition=Q(state__in=["waiting", "settled"]), name="one_current_review"
            )
        ]

    def __str__(self) -> str:
        return f"{self.query}: {self.state}"


class SettledGrade(models.Model):
    """The one grade of a passage for a query, after consensus or a reviewer."""

    class Method(models.TextChoices):
        SOLE = "sole", _("one curator")
        MEDIAN = "median", _("median")
        DAWID_SKENE = "dawid_skene", "Dawid–Skene"
        REVIEWER = "reviewer", _("reviewer")
        CONFIRMED = "confirmed", _("passed on and confirmed")

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="settled_grades")
    grade = models.FloatField(help_text=_("0–3; a consensus may lie between."))
    judges = models.PositiveSmallIntegerField(default=1)
    reliability = models.FloatField(default=1, help_text=_("0–1: how sure the consensus is."))
    method = models.CharField(max_length=12, choices=Method)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["review", "passage"], name="one_settled_grade_per_passage")]

    def __str__(self) -> str:
        return f"{self.passage}: {self.grade}"


class ProvisionalGradeQuerySet(models.QuerySet["ProvisionalGrade"]):
    def waiting(self) -> Self:
        return self.filter(state=ProvisionalGrade.State.WAITING)

    def decided(self) -> Self:
        """Confirmed or refused by a person."""
        return self.filter(state__in=[ProvisionalGrade.State.CONFIRMED, ProvisionalGrade.State.REFUSED])


class ProvisionalGrade(models.Model):
    """A settled grade offered to a passage like it, or to a query like it: no judgement until a person confirms it.

    waiting ──confirm──► confirmed ──take back──► waiting
       ├──────refuse───► refused ────take back──► waiting
       └─judged meanwhile, or its source changed──► overtaken
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CONFIRMED = "confirmed", _("confirmed")
        REFUSED = "refused", _("refused")
        OVERTAKEN = "overtaken", _("overtaken")

    class Kind(models.TextChoices):
        PASSAGE = "passage", _("near-duplicate passage")
        QUERY = "query", _("paraphrased query")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="provisional_grades")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="provisional_grades")
    passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="provisional_grades")
    grade = models.PositiveSmallIntegerField(validators=[MaxValueValidator(3)])
    kind = models.CharField(max_length=10, choices=Kind)
    from_query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="+")
    from_passage = models.ForeignKey(Passage, on_delete=models.PROTECT, related_name="+")
    likeness = models.FloatField(help_text=_("0–1, of the two passages or the two queries."))
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    judgement = models.OneToOneField(
        Judgement,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="origin",
        help_text=_("What it became."),
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ProvisionalGradeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["query", "passage"], name="one_offer_per_query_and_passage"),
            models.CheckConstraint(condition=Q(grade__lte=3), name="an_offered_grade_is_0_to_3"),
        ]
        indexes = [models.Index(fields=["project", "state", "query"], name="provisional_by_state")]

    def __str__(self) -> str:
        return f"{self.passage}: {self.grade}?"


class Unchangeable(TypeError):
    """A row of the record was about to be changed or removed."""


class EventQuerySet(models.QuerySet["Event"]):
    """Reading and adding; rows go only together with their whole project."""

    def update(self, **changes: object) -> int:
        raise Unchangeable(_("The record is only ever added to."))

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("The record is only ever added to."))


class Event(models.Model):
    """Who did what when. Rows are only ever added."""

    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="events")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="events"
    )
    verb = models.CharField(max_length=40)
    query = models.ForeignKey(Query, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    assignment = models.ForeignKey(Assignment, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    passage = models.ForeignKey(Passage, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict, blank=True)
    idempotency_key = models.CharField(max_length=80, blank=True, help_text=_("A repeated key changes nothing."))
    at = models.DateTimeField(auto_now_add=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "-at"], name="event_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["actor", "idempotency_key"], condition=~Q(idempotency_key=""), name="an_act_happens_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.verb}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Unchangeable(_("The record is only ever added to."))
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Unchangeable(_("The record is only ever added to."))
