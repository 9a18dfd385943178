"""The one family of errors that the acts of curation raise: each says, in words a curator can read, why not."""


class CurationError(Exception):
    """An act that cannot be done as things stand. Pages answer with 409, commands with status 1."""
