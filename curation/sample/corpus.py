"""Corpus of the sample: the language reference and the docstrings of the Python that runs.

Tandem ships no part of this text. Modules of other platforms and symbols of later versions are skipped and counted;
Python 3.11 to 3.14 each give about 1,500 passages. Chunks follow the structure of the text (headings, entries,
paragraphs) and never join two sections.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

REFERENCE = "reference/"  # prefix of topic names: the topic `dict` is not the symbol `dict`
MAX_CHARS = 1000
TARGET_CHARS = 800
MIN_CHARS = 150
MIN_DOC_CHARS = 58
MIN_LINE_CHARS = 48
# A section is skipped where this share of it also occurs in a smaller topic.
REPEATED_SHARE = 0.8

# Sources of docstrings: a module, or a module and names in it.
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

# Classes without their methods: the reference describes those of text; the others are too many or too rare.
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
    """One passage. key: its topic or dotted symbol. position: its number in it, from 0."""

    key: str
    position: int
    title: str
    text: str

    @property
    def external_id(self) -> str:
        return f"{self.key}#{self.position}"


@dataclass
class SampleCorpus:
    """The passages in order, the modules this Python lacks, and the number of symbols without a docstring."""

    passages: list[SamplePassage] = field(default_factory=list)
    missing_modules: list[str] = field(default_factory=list)
    undocumented: int = 0


def read_corpus() -> SampleCorpus:
    """Return every passage of the running Python. The same interpreter gives the same passages in the same order."""
    corpus = SampleCorpus()
    corpus.passages.extend(chunk_reference(_topics()))
    seen: set[str] = set()
    for name, symbols in _sources():
        try:
            module = importlib.import_module(name)
        except ImportError:
            corpus.missing_modules.append(name)
            continue
        for symbol, value in _documented(name, module, symbols):
            text = _docstring(value)
            if len(text) < MIN_DOC_CHARS or text in seen:
                corpus.undocumented += not text
                continue
            seen.add(text)
            corpus.passages.extend(_symbol_passages(symbol, value, text))
    return corpus


def normalize_words(text: str) -> str:
    """Return the words of a text, case folded, joined by single spaces, without quotes and markup."""
    return " ".join(_WORD.findall(text.casefold()))


# The language reference


def chunk_reference(topics: dict[str, str]) -> list[SamplePassage]:
    """Chunk the topics, the smallest first. A section that repeats a smaller topic is skipped."""
    seen: set[str] = set()
    passages: list[SamplePassage] = []
    for topic in sorted(topics, key=lambda name: (len(topics[name]), name)):
        position = 0
        for title, blocks in _sections(topic, topics[topic]):
            repeated = sum(len(block) for block in blocks if normalize_words(block) in seen)
            if blocks and repeated >= REPEATED_SHARE * sum(map(len, blocks)):
                continue
            for text in pack_blocks(blocks):
                passages.append(SamplePassage(REFERENCE + topic, position, title, unwrap_prose(text)))
                position += 1
        seen.update(normalize_words(block) for _, blocks in _sections(topic, topics[topic]) for block in blocks)
    return passages


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions have it in a separate package
        return {}
    return dict(topics)


def _sections(topic: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (title, blocks) of each section; the title joins the headings above it."""
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
        depth = next((level for level, (underline, _) in enumerate(trail) if underline == line), len(trail))
        trail = [*trail[:depth], (line, heading["text"])]
    if blocks:
        yield _title(topic, trail), blocks


def _title(topic: str, trail: list[tuple[str, str]]) -> str:
    return " · ".join(dict.fromkeys(heading for _, heading in trail)) or topic


# Docstrings


def _sources() -> list[tuple[str, list[str]]]:
    """Return (module, names in it), in order; no names means all public ones."""
    lines = MODULES.replace("\n ", " ").split("\n")
    parts = [line.partition(":") for line in lines if line]
    return [(name, names.split()) for name, _, names in parts]


def _documented(name: str, module: ModuleType, symbols: list[str]) -> Iterator[tuple[str, object]]:
    """Yield (dotted symbol, object) of a module: itself, its own public functions and classes, and their methods."""
    if name != "builtins":
        yield name, module
    public = getattr(module, "__all__", None) or [key for key in vars(module) if not key.startswith("_")]
    objects = {key: getattr(module, key, None) for key in public}
    exported = [value for value in objects.values() if inspect.isclass(value)]
    if symbols:
        objects = {key: getattr(module, key, None) for key in symbols}
    prefix = "" if name == "builtins" else f"{name}."
    # Functions before classes: `random.choice` is the better name of `random.Random.choice`.
    for key, value in sorted(objects.items(), key=lambda item: (inspect.isclass(item[1]), item[0])):
        if not (inspect.isroutine(value) or inspect.isclass(value)) or not _belongs(name, value):
            continue
        yield prefix + key, value
        if inspect.isclass(value) and prefix + key not in WITHOUT_METHODS.split():
            for method in _methods(value, name, exported):
                yield f"{prefix}{key}.{method}", getattr(value, method, None)


def _methods(cls: type, module: str, exported: list[type]) -> list[str]:
    """Return the public methods and properties of a class, with those of private base classes."""
    package = module.partition(".")[0]
    names: set[str] = set()
    for base in inspect.getmro(cls):
        is_private_base = base.__module__.partition(".")[0] == package and base not in exported
        if base is cls or (is_private_base and _belongs(module, base)):
            members = {name: member for name, member in vars(base).items() if not name.startswith("_")}
            names |= {name for name, member in members.items() if callable(member) or _is_descriptor(member)}
    return sorted(names)


def _belongs(name: str, value: object) -> bool:
    """Whether the object is the module's own, and not imported from another of MODULES."""
    home = getattr(value, "__module__", None) or ""
    return home == name or home not in dict(_sources())


def _is_descriptor(member: object) -> bool:
    return isinstance(member, classmethod | staticmethod | property)


def _docstring(value: object) -> str:
    doc = getattr(value, "__doc__", None)
    if not isinstance(doc, str):
        return ""
    return inspect.cleandoc(doc).strip()


def _symbol_passages(symbol: str, value: object, text: str) -> Iterator[SamplePassage]:
    for position, piece in enumerate(pack_blocks(list(_blocks(text)))):
        yield SamplePassage(symbol, position, symbol + _signature(value), unwrap_prose(piece))


def _signature(value: object) -> str:
    """Return the signature as `(a, b=1)`; empty where it is unknown or differs between processes."""
    try:
        signature = str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return "" if "<" in signature or " at 0x" in signature or len(signature) > 120 else signature


# Chunking


def unwrap_prose(text: str) -> str:
    """Join the lines of each prose paragraph, so that a page can wrap them at its own width.

    Code, tables, lists and grammar keep their lines. A paragraph is prose when its lines have one indent, no line
    begins with a list or table mark, and all lines but the last have MIN_LINE_CHARS.
    """
    return "\n\n".join(_joined(block) for block in text.split("\n\n"))


def _joined(block: str) -> str:
    lines = block.split("\n")
    indents = {len(line) - len(line.lstrip()) for line in lines}
    marked = any(_MARKED.match(line.strip()) for line in lines)
    if len(lines) < 2 or len(indents) > 1 or marked or min(len(line) for line in lines[:-1]) < MIN_LINE_CHARS:
        return block
    return lines[0] + "".join(f" {line.strip()}" for line in lines[1:])


def _blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, lines between blank lines, with their indent."""
    for block in re.split(r"\n[ \t]*\n", text.expandtabs(8)):
        if block.strip():
            yield block.rstrip().strip("\n")


def pack_blocks(blocks: Iterable[str]) -> list[str]:
    """Join blocks into passages of up to MAX_CHARS. An entry begins a passage, a short rest joins the last one."""
    passages: list[str] = []
    current = ""
    for block in _split_long(blocks):
        full = len(current) + len(block) + 2 > MAX_CHARS
        begins = bool(_ENTRY.match(block)) and len(current) >= MIN_CHARS
        if current and (full or begins or len(current) >= TARGET_CHARS):
            passages.append(current)
            current = ""
        current = f"{current}\n\n{block}" if current else block
    if current and passages and len(current) < MIN_CHARS and len(passages[-1]) + len(current) <= 1.2 * MAX_CHARS:
        passages[-1] += f"\n\n{current}"
    elif current:
        passages.append(current)
    return passages


def _split_long(blocks: Iterable[str]) -> Iterator[str]:
    """Yield the blocks; blocks over MAX_CHARS are split at line ends."""
    for block in blocks:
        piece = ""
        for line in block.split("\n"):
            if piece and len(piece) + len(line) + 1 > MAX_CHARS:
                yield piece
                piece = ""
            piece = f"{piece}\n{line}" if piece else line
        if piece:
            yield piece


def python_version() -> str:
    """Return the version of the running Python, as 3.12.1."""
    return ".".join(map(str, sys.version_info[:3]))
