"""Base class of the errors that the acts of curation raise."""


class CurationError(Exception):
    """An act that is not possible in the current state; the message is for the person.

    Pages and the API answer with status 409, commands with exit status 1.
    """
