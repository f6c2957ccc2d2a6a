"""The project's own exceptions. Each message is one line: what, where, what was found, what to do.

The command line prints the message and exits with code 2; no traceback reaches a user.
"""


class RomanError(Exception):
    """Base of all errors that a user can cause or fix.

    Attributes:
        others: further mistakes that were found with it, one line each.
    """

    others: tuple[str, ...] = ()


class ConfigError(RomanError):
    """A YAML file, command-line value or recipe that cannot be used."""


class BundleError(RomanError):
    """A bundle or one of its networks that must not run."""


class NotMovedError(RomanError):
    """Complete results that could not be moved to their place; they stay where they were written."""


class DemonstrationError(RomanError):
    """A demonstration that cannot be read or does not fit its use."""


class EpisodeTakenError(DemonstrationError):
    """An episode that exists already, or that another process writes."""


class MissingDependencyError(RomanError):
    """An optional package or system library that this command needs."""


def one_line(text: object) -> str:
    """Text, or what an exception says, with every run of white space, line breaks included, as one blank."""
    return " ".join(str(text).split())
