"""Which release answers. One pointer per project, switched in one transaction, rolled back by pointing back."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _

from common.artifacts import folder_hash
from common.messages import StrOrMessage, message, message_to_json
from curation.core import audit_log
from curation.core.errors import CurationError
from curation.engine.generation.prompts import DEFAULT_API_PASSAGES, DEFAULT_PASSAGES, DEFAULT_PROMPT, DEFAULT_REFUSAL
from curation.models import Generator, Project, Release, ReleaseQuerySet
from retrieval.engine import hardware
from retrieval.engine.indexes.score_fusion import DEFAULT_WEIGHT
from retrieval.index import index_builds
from retrieval.models import IndexBuild
from retrieval.search import rerank

if TYPE_CHECKING:
    from curation.engine.generation.generator import ApiGenerator, TextGenerator

_CARRIED = (
    *("fusion_weight", "reranker", "rerank_depth", "rerank_share"),
    *("prompt", "refusal", "answer_passages", "answer_mode"),
)


class NothingServes(CurationError):
    """The project has no release in service yet."""


class NotServable(CurationError):
    """The release cannot serve: its build or reranker is not there, or the build belongs to another corpus."""


class NothingBefore(CurationError):
    """There is no release to roll back to."""


def serving(project: Project) -> Release:
    """The release that answers. Raises NothingServes when the project has none yet."""
    found = _whole().filter(project=project).serving().first()
    if found is None:
        raise NothingServes(message("nothing_serves", project=project.slug))
    return found


@transaction.atomic
def make_base(project: Project, build: IndexBuild) -> Release:
    """Release 1, the untuned pair, in service; the first release as it stands when the project has one."""
    _lock(project)
    first = _whole().filter(project=project).order_by("number").first()
    if first is not None:
        return first
    generator = generator_from_settings()
    release = Release.objects.create(
        project=project,
        number=1,
        build=build,
        generator=generator,
        fusion_weight=dense_share(build),
        prompt=DEFAULT_PROMPT,
        refusal=DEFAULT_REFUSAL,
        answer_passages=DEFAULT_API_PASSAGES if generator.kind == Generator.Kind.API else DEFAULT_PASSAGES,
    )
    return switch(release)


def dense_share(build: IndexBuild) -> float:
    """The share of the dense score while nothing is learned: the less, the more the encoder does not know.

    XQuAD Chinese and MiniLM, which knows 40 % of its tokens: nDCG@10 0.950 with 0.26, 0.868 with 0.65, and 0.952 by
    words alone.
    """
    return round(DEFAULT_WEIGHT * (1 - index_builds.unknown_share(build)), 4)


@transaction.atomic
def next_release(
    project: Project, *, build: IndexBuild | None = None, generator: Generator | None = None, **changes: Any
) -> Release:
    """A candidate after the release in service; what is not given is carried over from it.

    A build by other weights begins with `dense_share` again: what was learned was the share of others.
    changes: fusion_weight, reranker, rerank_depth, rerank_share, prompt, refusal, answer_passages, answering.
    """
    unknown = set(changes) - set(_CARRIED)
    if unknown:
        raise TypeError(f"a release has no {', '.join(sorted(unknown))}")
    _lock(project)
    now = serving(project)
    last = project.releases.aggregate(last=Max("number"))["last"]
    carried = {name: getattr(now, name) for name in _CARRIED}
    if build is not None and build.encoder.passage_hash != now.build.encoder.passage_hash:
        carried["fusion_weight"] = dense_share(build)
    return Release.objects.create(
        project=project,
        number=last + 1,
        build=build or now.build,
        generator=generator or now.generator,
        **(carried | changes),
    )


@transaction.atomic
def switch(release: Release, actor: AbstractBaseUser | None = None) -> Release:
    """Put the release in service, in place of the one that served. Twice is once.

    A declined release may be switched to as well: a person overrules the gate, and the record says who.
    """
    _lock(release.project)
    release = _whole().get(pk=release.pk)
    if release.state == Release.State.SERVING:
        return release
    _check_servable(release)
    before = release.project.releases.serving().first()
    if before is not None:
        _put(before, Release.State.RETIRED)
    release.previous = before
    release.served_at = timezone.now()
    was = release.state
    _put(release, Release.State.SERVING, "previous", "served_at")
    data = {"release": release.number, "was": was, "instead_of": before.number if before else None}
    audit_log.note("release.switched", project=release.project_id, actor=actor, data=data)
    return release


@transaction.atomic
def roll_back(project: Project, actor: AbstractBaseUser | None = None) -> Release:
    """The release that served before this one, in service again; again goes one further back."""
    _lock(project)
    now = serving(project)
    before = _whole().filter(pk=now.previous_id).first() if now.previous_id else None
    if before is None:
        raise NothingBefore(_("Release %(number)s is the first: there is none before it.") % {"number": now.number})
    _check_servable(before)
    _put(now, Release.State.RETIRED)
    before.served_at = timezone.now()
    _put(before, Release.State.SERVING, "served_at")
    data = {"release": before.number, "instead_of": now.number}
    audit_log.note("release.rolled_back", project=project, actor=actor, data=data)
    return before


@transaction.atomic
def decline(release: Release, actor: AbstractBaseUser | None = None, reason: StrOrMessage = "") -> Release:
    """Say no to a candidate. Any other state is left as it is."""
    declined = Release.objects.filter(pk=release.pk, state=Release.State.CANDIDATE).update(state=Release.State.DECLINED)
    if declined:
        data = {"release": release.number, "reason": message_to_json(reason)}
        audit_log.note("release.declined", project=release.project_id, actor=actor, data=data)
    release.refresh_from_db(fields=["state"])
    return release


def generator_from_settings() -> Generator:
    """The row of the generator that the settings name: a server elsewhere, or weights here."""
    if settings.GENERATOR_API_URL:
        kind, base_path = Generator.Kind.API, settings.GENERATOR_API_URL
        name = settings.GENERATOR_API_MODEL or settings.GENERATOR_API_URL
        identity = f"api\n{base_path}\n{settings.GENERATOR_API_MODEL}"
    else:
        kind, base_path = Generator.Kind.LOCAL, settings.GENERATOR
        name = Path(base_path).name
        identity = f"local\n{base_path}\n{_version(base_path)}"
    sha256 = hashlib.sha256(identity.encode()).hexdigest()
    row, _created = Generator.objects.get_or_create(
        sha256=sha256, defaults={"name": name, "kind": kind, "base_path": base_path}
    )
    return row


_loaded: dict[str, TextGenerator | ApiGenerator] = {}
_loading = Lock()


def generator_for(release: Release) -> TextGenerator | ApiGenerator:
    """The release's generator, ready to write. Each process keeps the last one it used."""
    from curation.engine.generation.generator import open_generator

    row = release.generator
    with _loading:
        if row.sha256 not in _loaded:
            _loaded.clear()
            _loaded[row.sha256] = open_generator(
                row.base_path,
                settings.DATA_DIR / row.adapter_path if row.adapter_path else None,
                cache_dir=settings.DATA_DIR / "generators",
                dtype=hardware.fast_dtype(settings.DATA_DIR / "dtype.json"),
                api_key=settings.GENERATOR_API_KEY,
                api_model=settings.GENERATOR_API_MODEL,
            )
        return _loaded[row.sha256]


def _whole() -> ReleaseQuerySet:
    return Release.objects.select_related("project", "generator", "reranker", "build__corpus", "build__encoder")


def _lock(project: Project) -> None:
    """One switch at a time per project."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _put(release: Release, state: str, *also: str) -> None:
    release.state = state
    release.save(update_fields=["state", *also])


def _check_servable(release: Release) -> None:
    if release.build.corpus_id != release.project.corpus_id:
        raise NotServable(message("build_elsewhere", build=release.build.number))
    if not IndexBuild.objects.searchable().filter(pk=release.build_id).exists():
        raise NotServable(message("build_not_there", number=release.number, build=release.build.number))
    if release.reranker is not None and not rerank.folder(release.reranker).is_dir():
        raise NotServable(message("reranker_not_there", number=release.number))


def _version(name: str) -> str:
    """What tells two sets of weights of one name apart: a folder's hash, a package's version, else nothing."""
    path = Path(name)
    if path.is_dir():
        return folder_hash(path)
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""
