"""The sample's text, read from the Python that runs: the language reference and docstrings.

Nothing of it is shipped. What an interpreter lacks (a module of another platform, a symbol of a
later version) is skipped and counted, so that 3.11 to 3.14 each give about 1,500 passages.
The cut follows the form of the text: headings, entries, paragraphs; it never joins two sections.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

REFERENCE = "reference/"  # before the topics' names, so that the topic `dict` is not the symbol `dict`
MOST_CHARS = 1000
GOOD_CHARS = 800
LEAST_CHARS = 150
LEAST_DOC_CHARS = 58
FILLED_CHARS = 48
# A section of the reference this much of which stands in a smaller topic too is left to that topic.
REPEATED_SHARE = 0.8

# Where the docstrings come from: a module, or a module and the names taken from it.
MODULES = """
builtins
itertools
functools
collections
contextlib
dataclasses
enum
copy
typing: Annotated Any Generic NamedTuple NewType Protocol TypeVar TypedDict cast final get_type_hints overload
 runtime_checkable
re
string
textwrap
json
csv
pickle
sqlite3
struct: calcsize pack unpack
datetime
time: asctime ctime gmtime localtime mktime monotonic perf_counter process_time sleep strftime strptime time
zoneinfo
math: ceil comb dist factorial floor fsum gcd hypot isclose isfinite isinf isnan log perm prod remainder sqrt trunc
statistics
random
secrets
fractions
decimal: Decimal getcontext localcontext
heapq
bisect
pathlib
os: abort access chdir chmod cpu_count fsencode getcwd getenv kill link listdir makedirs mkdir putenv
 remove removedirs rename renames replace rmdir scandir stat symlink system unlink urandom utime walk
os.path
shutil
glob
fnmatch
tempfile
io: BytesIO StringIO TextIOWrapper
gzip
zipfile: ZipFile is_zipfile
subprocess
threading
queue
concurrent.futures
asyncio: Condition CancelledError Event Future Lock Queue Runner Semaphore Task TaskGroup Timeout all_tasks
 as_completed create_subprocess_exec create_task current_task ensure_future gather iscoroutine run
 run_coroutine_threadsafe shield sleep timeout timeout_at to_thread wait wait_for
logging
logging.handlers: RotatingFileHandler TimedRotatingFileHandler
argparse
getpass
warnings
traceback: format_exc print_exc print_stack TracebackException
inspect: getdoc getmembers getsource isawaitable iscoroutinefunction signature
importlib
unittest: TestCase main skip skipIf expectedFailure
timeit
pprint
configparser: ConfigParser
difflib: get_close_matches ndiff unified_diff
urllib.parse
hashlib: file_digest md5 new pbkdf2_hmac scrypt sha256
base64: b64decode b64encode
uuid
weakref: WeakKeyDictionary WeakMethod WeakValueDictionary finalize proxy
operator: attrgetter itemgetter methodcaller
abc
sys: exit getrecursionlimit setrecursionlimit getsizeof getrefcount exc_info intern settrace
"""

# Classes that come without their methods: the reference describes those of text, the others are too many or too rare.
WITHOUT_METHODS = """
str bytes bytearray memoryview decimal.Decimal sqlite3.Blob io.BytesIO threading.Barrier logging.LogRecord
logging.LoggerAdapter logging.Handler asyncio.Future weakref.WeakKeyDictionary weakref.WeakValueDictionary
collections.ChainMap collections.UserDict statistics.NormalDist zoneinfo.ZoneInfo pickle.PickleBuffer
"""

_HEADING = re.compile(r"^(?P<text>\S.*)\n(?P<line>[*=\-~^\"]{3,})$")
_ENTRY = re.compile(r"^(?:(?:class|async|await|exception|type) )?[\w.]+(?:\(.*\)?|\[.*\])?(?: -> .*)?$")
_WORD = re.compile(r"\w+")
_MARKED = re.compile(r"[-*+|=>#]\s|[-+|=]{3}|>>>|\.\.\.|\w+ ::=|.*[|]$")


@dataclass(frozen=True)
class SamplePassage:
    """One passage. `key` names the topic or the dotted symbol it came from, `position` its place there."""

    key: str
    position: int
    title: str
    text: str

    @property
    def external_id(self) -> str:
        return f"{self.key}#{self.position}"


@dataclass
class SampleCorpus:
    """The passages in order, with what this Python does not have."""

    passages: list[SamplePassage] = field(default_factory=list)
    missing_modules: list[str] = field(default_factory=list)
    undocumented: int = 0


def read() -> SampleCorpus:
    """Every passage of the running Python; the same interpreter gives the same passages in the same order."""
    corpus = SampleCorpus()
    corpus.passages.extend(reference_passages(_topics()))
    seen: set[str] = set()
    for name, chosen in _choice():
        try:
            module = importlib.import_module(name)
        except ImportError:
            corpus.missing_modules.append(name)
            continue
        for symbol, thing in _documented(name, module, chosen):
            text = _docstring(thing)
            if len(text) < LEAST_DOC_CHARS or text in seen:
                corpus.undocumented += not text
                continue
            seen.add(text)
            corpus.passages.extend(_symbol_passages(symbol, thing, text))
    return corpus


def words_of(text: str) -> str:
    """The words of a text, lower case, one space between: what keys compare, free of quotes and markup."""
    return " ".join(_WORD.findall(text.casefold()))


# The language reference


def reference_passages(topics: dict[str, str]) -> list[SamplePassage]:
    """Topics cut into passages, the small ones first: what a large one repeats stays with the small one."""
    seen: set[str] = set()
    passages: list[SamplePassage] = []
    for topic in sorted(topics, key=lambda name: (len(topics[name]), name)):
        position = 0
        for title, blocks in _sections(topic, topics[topic]):
            known = sum(len(block) for block in blocks if words_of(block) in seen)
            if blocks and known >= REPEATED_SHARE * sum(map(len, blocks)):
                continue
            for text in pack(blocks):
                passages.append(SamplePassage(REFERENCE + topic, position, title, unwrapped(text)))
                position += 1
        seen.update(words_of(block) for _, blocks in _sections(topic, topics[topic]) for block in blocks)
    return passages


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions ship it in a package of its own
        return {}
    return dict(topics)


def _sections(topic: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """(title, blocks) of each stretch of text under one heading; the title names the headings above it."""
    trail: list[tuple[str, str]] = []  # (underline, heading), outermost first
    blocks: list[str] = []
    for block in _blocks(text):
        heading = _HEADING.match(block)
        if not heading:
            blocks.append(block)
            continue
        if blocks:
            yield _title(topic, trail), blocks
        blocks = []
        line = heading["line"][0]
        depth = next((place for place, (known, _) in enumerate(trail) if known == line), len(trail))
        trail = [*trail[:depth], (line, heading["text"])]
    if blocks:
        yield _title(topic, trail), blocks


def _title(topic: str, trail: list[tuple[str, str]]) -> str:
    return " · ".join(dict.fromkeys(heading for _, heading in trail)) or topic


# Docstrings


def _choice() -> list[tuple[str, list[str]]]:
    """(module, names taken from it; none named: all it makes public), in order."""
    lines = MODULES.replace("\n ", " ").split("\n")
    parts = [line.partition(":") for line in lines if line]
    return [(name, names.split()) for name, _, names in parts]


def _documented(name: str, module: ModuleType, chosen: list[str]) -> Iterator[tuple[str, object]]:
    """(dotted symbol, thing) of a module: itself, its own public functions and classes, and their methods."""
    if name != "builtins":
        yield name, module
    public = getattr(module, "__all__", None) or [key for key in vars(module) if not key.startswith("_")]
    things = {key: getattr(module, key, None) for key in public}
    exported = [thing for thing in things.values() if inspect.isclass(thing)]
    if chosen:
        things = {key: getattr(module, key, None) for key in chosen}
    prefix = "" if name == "builtins" else f"{name}."
    # Functions before classes: `random.choice` is the better name of `random.Random.choice`.
    for key, thing in sorted(things.items(), key=lambda item: (inspect.isclass(item[1]), item[0])):
        if not (inspect.isroutine(thing) or inspect.isclass(thing)) or not _belongs(name, thing):
            continue
        yield prefix + key, thing
        if inspect.isclass(thing) and prefix + key not in WITHOUT_METHODS.split():
            for method in _methods(thing, name, exported):
                yield f"{prefix}{key}.{method}", getattr(thing, method, None)


def _methods(cls: type, module: str, exported: list[type]) -> list[str]:
    """The public methods and properties of a class, with those of bases its package keeps to itself."""
    package = module.partition(".")[0]
    names: set[str] = set()
    for base in inspect.getmro(cls):
        kept = base.__module__.partition(".")[0] == package and base not in exported
        if base is cls or (kept and _belongs(module, base)):
            members = {name: member for name, member in vars(base).items() if not name.startswith("_")}
            names |= {name for name, member in members.items() if callable(member) or _is_descriptor(member)}
    return sorted(names)


def _belongs(name: str, thing: object) -> bool:
    """Whether a module's public name is its own and not one it merely imported from another of MODULES."""
    home = getattr(thing, "__module__", None) or ""
    return home == name or home not in dict(_choice())


def _is_descriptor(member: object) -> bool:
    return isinstance(member, classmethod | staticmethod | property)


def _docstring(thing: object) -> str:
    doc = getattr(thing, "__doc__", None)
    if not isinstance(doc, str):
        return ""
    return inspect.cleandoc(doc).strip()


def _symbol_passages(symbol: str, thing: object, text: str) -> Iterator[SamplePassage]:
    for position, piece in enumerate(pack(list(_blocks(text)))):
        yield SamplePassage(symbol, position, symbol + _signature(thing), unwrapped(piece))


def _signature(thing: object) -> str:
    """`(a, b=1)` when it can be told and reads the same in every process, else nothing."""
    try:
        signature = str(inspect.signature(thing))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return "" if "<" in signature or " at 0x" in signature or len(signature) > 120 else signature


# The cut


def unwrapped(text: str) -> str:
    """The text with the lines of each prose paragraph joined, so that a page can break them where it is wide.

    Code, tables, lists and grammar keep their lines: a paragraph is prose when its lines stand at one indent,
    none opens with a mark, and all but the last are as long as a filled line.
    """
    return "\n\n".join(_joined(block) for block in text.split("\n\n"))


def _joined(block: str) -> str:
    lines = block.split("\n")
    indents = {len(line) - len(line.lstrip()) for line in lines}
    marked = any(_MARKED.match(line.strip()) for line in lines)
    if len(lines) < 2 or len(indents) > 1 or marked or min(len(line) for line in lines[:-1]) < FILLED_CHARS:
        return block
    return lines[0] + "".join(f" {line.strip()}" for line in lines[1:])


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs: runs of lines between blank ones, the indent kept."""
    for block in re.split(r"\n[ \t]*\n", text.expandtabs(8)):
        if block.strip():
            yield block.rstrip().strip("\n")


def pack(blocks: Iterable[str]) -> list[str]:
    """Blocks joined into passages of at most MOST_CHARS; an entry begins a passage, a stub joins the one before."""
    passages: list[str] = []
    current = ""
    for block in _small_enough(blocks):
        full = len(current) + len(block) + 2 > MOST_CHARS
        begins = bool(_ENTRY.match(block)) and len(current) >= LEAST_CHARS
        if current and (full or begins or len(current) >= GOOD_CHARS):
            passages.append(current)
            current = ""
        current = f"{current}\n\n{block}" if current else block
    if current and passages and len(current) < LEAST_CHARS and len(passages[-1]) + len(current) <= 1.2 * MOST_CHARS:
        passages[-1] += f"\n\n{current}"
    elif current:
        passages.append(current)
    return passages


def _small_enough(blocks: Iterable[str]) -> Iterator[str]:
    """The blocks, those over MOST_CHARS cut at line ends."""
    for block in blocks:
        piece = ""
        for line in block.split("\n"):
            if piece and len(piece) + len(line) + 1 > MOST_CHARS:
                yield piece
                piece = ""
            piece = f"{piece}\n{line}" if piece else line
        if piece:
            yield piece


def python_version() -> str:
    return ".".join(map(str, sys.version_info[:3]))
