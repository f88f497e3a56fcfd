"""The connection to a server: targets, sessions, settings, locks and retries."""
