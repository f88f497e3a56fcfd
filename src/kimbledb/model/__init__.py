"""What is passed around: migration, script, objects, plan, reports, pictures. It knows no file and no server."""
