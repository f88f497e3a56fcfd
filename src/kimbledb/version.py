"""The version of this package, which history, the log and the build read from here."""

__version__ = "1.0.0rc1"
