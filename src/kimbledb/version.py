"""The version of this package, which history, the log and the build read from here."""

__version__ = "0.1.0"
