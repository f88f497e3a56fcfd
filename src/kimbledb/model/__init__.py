"""The values that all rooms share: migration, script, objects, plan, reports and their outputs. No file, no server."""
