"""Typed helpers that tests share: databases, folders of migrations, programs, a proxy, processes, and assertions."""
